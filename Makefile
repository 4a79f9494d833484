# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# `make` builds the modules against KDIR. The other targets find or build what they need: `make help`.

KDIR ?= /lib/modules/$(shell uname -r)/build
OUT ?= $(CURDIR)/out/modules
PREFIX ?= /usr/local
# NPU=1 picks the demo of the NPU.
NPU ?=
DRIVER ?= $(if $(NPU),rknn,mali_csf)
DEBUG ?=
SUITE ?=

.DEFAULT_GOAL := modules

modules:
	@mkdir -p $(OUT)
	@scripts/kernel-check "$(KDIR)" >$(OUT)/kernel-check.log || { grep -v ^ok $(OUT)/kernel-check.log >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(OUT) modules

# Builds nothing: it is called by root, who may not have the compilers.
modules_install:
	@release=$$(cat "$(KDIR)/include/config/kernel.release") && \
	built=$$(sed -zn 's/^vermagic=\([^ ]*\) .*/\1/p' $(OUT)/mali_csf.ko 2>/dev/null | tr -d '\0'); \
	[ "$$release" ] && [ "$$built" = "$$release" ] || { echo "$(OUT) has modules for $${built:-no kernel}, and not for" \
		"Linux $${release:-of unknown version}: 'make KDIR=$(KDIR)' builds them, as a user who has the compilers" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(OUT) modules_install

# Beside the modules: the command that hands the devices over, and which drivers are loaded at boot.
install: modules_install
	install -D -m 755 packaging/mali-rknn-switch $(DESTDIR)$(PREFIX)/sbin/mali-rknn-switch
	install -D -m 755 scripts/report $(DESTDIR)$(PREFIX)/bin/mali-rknn-report
	install -D -m 644 packaging/modprobe.conf $(DESTDIR)/usr/lib/modprobe.d/mali-rknn.conf

deb:
	@scripts/deb

deb-modules:
	@scripts/deb --modules "$(KDIR)" $(if $(LLVM),LLVM=$(LLVM)) $(if $(CROSS_COMPILE),CROSS_COMPILE=$(CROSS_COMPILE))

demo:
	@scripts/demo --driver $(DRIVER)

test:
	@scripts/test $(if $(DEBUG),--debug) $(if $(SUITE),--suite $(SUITE))

test-all:
	@scripts/test --all $(if $(RESUME),--resume=$(RESUME)) $(if $(DEBUG),--debug) $(if $(SUITE),--suite $(SUITE))

bench:
	@scripts/bench

check:
	@scripts/check

clean:
	rm -rf $(CURDIR)/out

help:
	@echo 'make              build mali_csf.ko and rknn.ko against KDIR= (default: the running kernel), into out/modules'
	@echo 'make install      installs what that has built, and mali-rknn-switch (INSTALL_MOD_PATH= and DESTDIR= for another root)'
	@echo 'make deb          a package for DKMS, which builds them on the machine that it is installed on'
	@echo 'make deb-modules  packages of the modules for the arm64 kernel in KDIR=, for boards without a compiler'
	@echo 'make demo         boot a Linux 7.3 with a modelled Mali-G610 in it and run the demo'
	@echo '                  DRIVER=mali_csf (default), panthor (the kernel'"'"'s own C driver) or tyr'
	@echo 'make demo NPU=1   the same with a modelled RK3588 NPU; DRIVER=rknn (default) or rocket (the kernel'"'"'s own)'
	@echo 'make test         run the tests; SUITE=name picks one, DEBUG=1 uses the KASAN/kmemleak and lockdep kernels'
	@echo 'make test-all     also the long suites, in all kernels (many hours); RESUME=1 goes on with a run that was interrupted'
	@echo 'make bench        measure mali_csf and rknn against the kernel'"'"'s own C drivers, on the same model'
	@echo 'make check        formatting, clippy and documentation checks'
	@echo 'make clean        remove out/ (the cache outside the checkout stays)'
	@echo
	@echo 'KSRC=DIR uses a Linux 7.3 source tree of yours; FIRMWARE=real boots Arm'"'"'s firmware file'
	@echo 'scripts/guest --help, scripts/test --help, scripts/bench --help and scripts/provision --help say the rest'

.PHONY: modules modules_install install deb deb-modules demo test test-all bench check clean help
