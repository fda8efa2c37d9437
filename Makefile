# SPDX-License-Identifier: Apache-2.0
# sonde: `make`, `make run`, `make test` are the ones to know; `make help` lists the rest.
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
B ?= build
ARCH ?= $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
VERSION := $(shell cat VERSION)

CPPFLAGS += -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -DSONDE_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(B)
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wundef -Wno-missing-field-initializers -fstack-protector-strong -fPIE -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now,--as-needed
LDLIBS += -lbpf -lelf -ljson-c -liberty -lz
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Iinclude -Ivmlinux -Ibpf -Wall -Wextra -Wno-unused-parameter \
	-Wno-missing-declarations -Werror -MMD -MP

BPF_OBJS := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
SKELS := $(BPF_OBJS:.bpf.o=.skel.h)
SRCS := $(wildcard user/*/*.c)
OBJS := $(patsubst user/%.c,$(B)/user/%.o,$(SRCS))

all: $(B)/sonde
.PHONY: all
.DELETE_ON_ERROR:

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(B)/user/%.o: user/%.c | $(SKELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(B)/sonde: $(OBJS) $(B)/user/main.o
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

clean:
	rm -rf $(B)
.PHONY: clean

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# --- unit tests: each tests/unit/test_*.c is a cmocka program, under ASan and UBSan, linked with the rooms below the loader
SAN = $(B)/san
SAN_CFLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ROOMS = sink stack model base
$(SAN)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -U_FORTIFY_SOURCE $(filter-out -O2,$(CFLAGS)) $(SAN_CFLAGS) -c $< -o $@
define room_archive
$(SAN)/$(1).a: $(patsubst user/%.c,$(SAN)/user/%.o,$(wildcard user/$(1)/*.c))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_archive,$(r))))
$(SAN)/test_%: tests/unit/test_%.c $(ROOMS:%=$(SAN)/%.a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -U_FORTIFY_SOURCE $(filter-out -O2,$(CFLAGS)) $(SAN_CFLAGS) -Itests/unit $< $(ROOMS:%=$(SAN)/%.a) \
		-lcmocka -lelf -ljson-c -liberty -lz -lm -o $@
UNIT := $(patsubst tests/unit/%.c,$(SAN)/%,$(wildcard tests/unit/test_*.c))
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done
.PHONY: unit
