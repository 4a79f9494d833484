# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The suites of scripts/test."""
