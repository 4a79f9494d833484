# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# `make` builds the modules against KDIR. The other targets find or build what they need: `make help`.

KDIR ?= /lib/modules/$(shell uname -r)/build
OUT ?= $(CURDIR)/out/modules
# NPU=1 picks the demo of the NPU.
NPU ?=
DRIVER ?= $(if $(NPU),rknn,mali_csf)
DEBUG ?=
SUITE ?=

.DEFAULT_GOAL := modules

modules:
	@test -e "$(KDIR)/Makefile" || { \
		echo "error: no kernel build tree in $(KDIR): set KDIR= to one of a Linux 7.3 configured with CONFIG_RUST=y" >&2; \
		exit 1; }
	@mkdir -p $(OUT)
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(OUT) modules

demo:
	@scripts/demo --driver $(DRIVER)

test:
	@scripts/test $(if $(DEBUG),--debug) $(if $(SUITE),--suite $(SUITE))

test-all:
	@scripts/test --all $(if $(DEBUG),--debug) $(if $(SUITE),--suite $(SUITE))

bench:
	@scripts/bench

check:
	@scripts/check

clean:
	rm -rf $(CURDIR)/out

help:
	@echo 'make              build mali_csf.ko and rknn.ko against KDIR= (default: the running kernel), into out/modules'
	@echo 'make demo         boot a Linux 7.3 with a modelled Mali-G610 in it and run the demo'
	@echo '                  DRIVER=mali_csf (default), panthor (the kernel'"'"'s own C driver) or tyr'
	@echo 'make demo NPU=1   the same with a modelled RK3588 NPU; DRIVER=rknn (default) or rocket (the kernel'"'"'s own)'
	@echo 'make test         run the tests; SUITE=name picks one, DEBUG=1 uses the KASAN/kmemleak and lockdep kernels'
	@echo 'make test-all     also the long suites'
	@echo 'make bench        measure mali_csf and rknn against the kernel'"'"'s own C drivers, on the same model'
	@echo 'make check        formatting, clippy and documentation checks'
	@echo 'make clean        remove out/ (the cache outside the checkout stays)'
	@echo
	@echo 'KSRC=DIR uses a Linux 7.3 source tree of yours; FIRMWARE=real boots Arm'"'"'s firmware file'
	@echo 'scripts/guest --help, scripts/test --help, scripts/bench --help and scripts/provision --help say the rest'

.PHONY: modules demo test test-all bench check clean help
