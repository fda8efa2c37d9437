# SPDX-License-Identifier: Apache-2.0
# sonde: `make`, `make run`, `make test` are the ones to know; `make help` lists the rest.
CLANG ?= clang
PKG_CONFIG ?= pkg-config
LLVM_STRIP ?= llvm-strip
NATIVE := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
ARCH ?= $(NATIVE)
B ?= build$(if $(FOREIGN),/$(ARCH))
UNWIND ?= eh
PREFIX ?= /usr/local
VERSION := $(shell cat VERSION)

# Another CPU's: `make ARCH=arm64`, in build/arm64, with the libraries that `tools/setup arm64` has unpacked.
FOREIGN := $(filter-out $(NATIVE),$(ARCH))
ifdef FOREIGN
ifndef SYSROOT
SYSROOT := $(shell tools/vm/sysroot $(ARCH:x86=amd64))
endif
TRIPLET := $(or $(patsubst arm64,aarch64-linux-gnu,$(filter arm64,$(ARCH))),$(patsubst x86,x86_64-linux-gnu,$(filter x86,$(ARCH))))
CC = $(TRIPLET)-gcc --sysroot=$(SYSROOT)
AR = $(TRIPLET)-ar
PKG_CONFIG = PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig pkg-config
ifeq ($(SYSROOT)$(filter clean help,$(MAKECMDGOALS)),)
$(error there are no libraries of $(ARCH) here: tools/setup $(ARCH))
endif
endif

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wundef \
	-Wno-missing-field-initializers $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -DSONDE_VERSION='"$(VERSION)"' -DSONDE_BUILD='"$(B)"' -Iinclude -Iuser -I$(B) $(if $(filter fp,$(UNWIND)),-DNO_UNWIND_TABLES)
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 $(WARNINGS) -fstack-protector-strong -fPIE -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now,--as-needed
# What parses other people's files, and the tests of it
OBJECT_LIBS = -lseccomp -ldw -lelf -llzma -liberty -lz
LDLIBS += -lbpf $(OBJECT_LIBS) -ljson-c -lprotobuf-c -lm
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Iinclude -Ivmlinux -Ibpf -Wall -Wextra -Wno-unused-parameter \
	-Wno-missing-declarations -Werror -MMD -MP $(if $(filter fp,$(UNWIND)),-DNO_UNWIND_TABLES)

# Each object is compiled three times: with tp_btf programs; as X_raw with raw tracepoints (bpf/common.bpf.h); and as X_plain, with
# raw tracepoints and without unwinding by tables, for kernels that have no loops over functions. UNWIND=fp leaves tables out everywhere.
BPF_NAMES := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
BPF_OBJS := $(foreach n,$(BPF_NAMES),$(B)/bpf/$(n).bpf.o $(B)/bpf/$(n)_raw.bpf.o $(B)/bpf/$(n)_plain.bpf.o)
SRCS := $(wildcard user/*/*.c)
OBJS := $(patsubst user/%.c,$(B)/user/%.o,$(SRCS)) $(B)/user/sink/pprof.pb-c.o
WORKLOADS := $(patsubst tests/workloads/%.c,$(B)/workloads/%,$(wildcard tests/workloads/*.c))

all: $(B)/sonde ## build/sonde
.DELETE_ON_ERROR:
.SECONDARY:

# --- the program: BPF objects, which user/probe/images.c embeds, and user space. DWARF would only bloat them, BTF stays.
$(B)/bpf/%_raw.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DRAW_TP -c $< -o $@
	$(LLVM_STRIP) -g $@
$(B)/bpf/%_plain.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DRAW_TP -DNO_UNWIND_TABLES -c $< -o $@
	$(LLVM_STRIP) -g $@
$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	$(LLVM_STRIP) -g $@
$(foreach d,$(B) $(B)/san,$(d)/user/probe/images.o): $(BPF_OBJS)
$(foreach d,$(B) $(B)/san,$(d)/user/probe/images.o): CPPFLAGS += -D'BPF_IMAGES=$(foreach n,$(filter-out try,$(BPF_NAMES)),X($(n)))'

$(B)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The messages of pprof's format, generated: each build directory has its own objects of them.
PROTOC_C ?= protoc-c
$(B)/sink/%.pb-c.c $(B)/sink/%.pb-c.h: user/sink/%.proto
	@mkdir -p $(@D)
	$(PROTOC_C) --proto_path=user/sink --c_out=$(B)/sink $<
$(foreach d,$(B) $(B)/san $(B)/fuzz,$(d)/user/sink/pprof.o $(d)/user/sink/pprof_read.o $(d)/tests/unit/test_profile.o): $(B)/sink/pprof.pb-c.h
$(B)/user/%.pb-c.o: $(B)/%.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# Style sheets and scripts of flame graphs are linked in as they are.
$(foreach d,$(B) $(B)/san $(B)/fuzz,$(d)/user/sink/flamegraph.o): $(wildcard user/sink/*.css user/sink/*.js)
$(foreach d,$(B) $(B)/san $(B)/fuzz,$(d)/user/sink/json_schema.o): user/sink/schema.json

# Tables on disk that another builder made are not read: its sources are part of their version.
TABLE_SOURCES := $(sort $(wildcard user/object/cfa*.[ch] user/object/cursor.h user/object/eh_frame*.[ch] user/object/unwind_*.[ch]) include/sonde/unwind.h)
TABLE_READERS := $(foreach d,$(B) $(B)/san $(B)/fuzz,$(d)/user/stack/unwind_cache.o)
$(TABLE_READERS): $(TABLE_SOURCES)
$(TABLE_READERS): CPPFLAGS += -DUNWIND_TABLES=$(firstword $(shell cat $(TABLE_SOURCES) | cksum))u

$(B)/sonde: $(OBJS) $(B)/user/main.o
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# One file that runs on any distribution of this CPU. What libelf and libdw want themselves, pkg-config knows.
$(B)/sonde-static: $(OBJS) $(B)/user/main.o
	$(CC) -static-pie $(filter-out -pie,$(LDFLAGS)) $^ $(LDLIBS) $$($(PKG_CONFIG) --static --libs libdw libelf) -o $@
	@! readelf -d $@ | grep -q NEEDED || { echo "$@ is not static" >&2; rm -f $@; exit 1; }
	$(if $(FOREIGN),,$@ version)
static: $(B)/sonde-static ## build/sonde-static: one file, no libraries needed

# --- set up, build, go. The work is a second make: what it finds must be looked up after the packages are there.
run: ## set up, build and run the main job: every command on a real program, pictures included
	tools/setup build run
	$(MAKE) all
	tools/run

test: ## set up, build and test everything (root)
	tools/setup build run test
	tests/run

# --- unit tests: each tests/unit/test_*.c is a cmocka program, under ASan and UBSan, linked with the rooms below the loader
SAN = $(B)/san
SANITIZE := $(if $(FOREIGN),,-fsanitize=address,undefined)
SAN_CFLAGS = -U_FORTIFY_SOURCE $(filter-out -O2,$(CFLAGS)) -O1 -g $(SANITIZE) $(if $(FOREIGN),,-fno-sanitize-recover=undefined) \
	-fno-omit-frame-pointer
ROOMS = sink stack helper object model base
$(SAN)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SAN_CFLAGS) -c $< -o $@
$(SAN)/user/%.pb-c.o: $(B)/%.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SAN_CFLAGS) -c $< -o $@
$(SAN)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SAN_CFLAGS) -Itests/unit -c $< -o $@

# room_archive(directory of objects, room): the room's objects there as one archive
define room_archive
$(1)/$(2).a: $(patsubst user/%.c,$(1)/user/%.o,$(wildcard user/$(2)/*.c)) \
	$(patsubst user/%.proto,$(1)/user/%.pb-c.o,$(wildcard user/$(2)/*.proto))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_archive,$(SAN),$(r))))

$(SAN)/test_%: $(SAN)/tests/unit/test_%.o $(ROOMS:%=$(SAN)/%.a)
	$(CC) $(SANITIZE) $^ -lcmocka $(OBJECT_LIBS) -ljson-c -lprotobuf-c -lm -o $@
UNIT := $(patsubst tests/unit/%.c,$(SAN)/%,$(wildcard tests/unit/test_*.c))
unit-programs: $(UNIT)
$(SAN)/sonde: $(patsubst $(B)/user/%.o,$(SAN)/user/%.o,$(OBJS)) $(SAN)/user/main.o
	$(CC) $(LDFLAGS) $(SANITIZE) $^ $(LDLIBS) -o $@

# --- known-truth workloads: frame pointers, nothing inlined away, symbols kept
$(B)/workloads/%: tests/workloads/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -O2 -g -std=gnu11 $(WARNINGS) -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer \
		-fno-optimize-sibling-calls -fno-ipa-icf -pthread \
		-MMD -MP $< -o $@

# --- truths for unwinding: no frame pointers, linked in all the ways that programs are; for another CPU what one compiler makes
U = $(B)/workloads/unwind
UNWIND_CFLAGS = -D_GNU_SOURCE -O2 -g -Wall -Wextra $(WERROR) -fomit-frame-pointer -fno-optimize-sibling-calls -fno-ipa-icf -pthread -MMD -MP
CHAINS := $(addprefix $(U)/chain-,noplt static static-pie $(if $(FOREIGN),,musl musl-static) $(if $(filter arm64,$(ARCH)),signed))
PLUGS := $(U)/plug-a.so $(U)/plug-b.so
BRIEFS := $(U)/brief-a $(U)/brief-b
TRUTHS := $(patsubst tests/workloads/unwind/%.c,$(U)/%,$(filter-out %/plug.c %/brief.c,$(wildcard tests/workloads/unwind/*.c))) \
	$(CHAINS) $(PLUGS) $(BRIEFS) $(U)/busy-go $(if $(FOREIGN),,$(U)/throw)
MUSL_GCC ?= musl-gcc
GO ?= go
$(U)/%: tests/workloads/unwind/%.c
	@mkdir -p $(@D)
	$(CC) $(UNWIND_CFLAGS) -std=gnu11 $< -o $@
$(U)/chain-noplt: FLAGS = -fno-plt
$(U)/chain-static $(U)/chain-musl-static: FLAGS = -static
$(U)/chain-static-pie: FLAGS = -static-pie
$(U)/chain-signed: FLAGS = -mbranch-protection=standard
$(U)/chain-musl $(U)/chain-musl-static: CC = $(MUSL_GCC)
$(CHAINS): tests/workloads/unwind/chain.c
	@mkdir -p $(@D)
	$(CC) $(UNWIND_CFLAGS) -std=gnu11 $(FLAGS) $< -o $@
$(PLUGS): $(U)/plug-%.so: tests/workloads/unwind/plug.c
	@mkdir -p $(@D)
	$(CC) $(UNWIND_CFLAGS) -std=gnu11 -fPIC -shared -DPLUG_LETTER=$* -DPLUG_SHIFT=$(if $(filter a,$*),0,1) $< -o $@
$(BRIEFS): $(U)/brief-%: tests/workloads/unwind/brief.c
	@mkdir -p $(@D)
	$(CC) $(UNWIND_CFLAGS) -std=gnu11 -DBRIEF_LETTER=$* -DBRIEF_SHIFT=$(if $(filter a,$*),0,1) $< -o $@
$(U)/throw: tests/workloads/unwind/throw.cc
	@mkdir -p $(@D)
	$(CXX) $(UNWIND_CFLAGS) -std=gnu++14 -Wno-missing-field-initializers -Wno-narrowing $< -o $@
$(U)/busy-go: tests/workloads/unwind/busy.go
	@mkdir -p $(@D)
	GOCACHE=$(CURDIR)/build/go-cache CGO_ENABLED=0 GO111MODULE=off GOARCH=$(ARCH:x86=amd64) $(GO) build -o $@ $<
workloads: $(WORKLOADS) $(TRUTHS) ## build/workloads: programs whose truth is known

# --- oracles: tests/oracle/*.c compare what sonde says with what others say, or measure (tests/oracle/run)
$(B)/oracle/%: tests/oracle/%.c $(filter $(B)/user/object/% $(B)/user/base/%,$(OBJS))
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -ldw -o $@
oracles: $(patsubst tests/oracle/%.c,$(B)/oracle/%,$(wildcard tests/oracle/*.c))

# --- fuzzing: each tests/fuzz/fuzz_*.c is a libFuzzer target; its seeds are tests/fuzz/corpus/NAME
FUZZ = $(B)/fuzz
FUZZ_SECONDS ?= 60
FUZZ_CFLAGS = -U_FORTIFY_SOURCE $(filter-out -O2,$(CFLAGS)) -O1 -g -fno-omit-frame-pointer
FUZZERS := $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZ)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
$(FUZZ)/user/%.pb-c.o: $(B)/%.pb-c.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
$(foreach r,$(ROOMS),$(eval $(call room_archive,$(FUZZ),$(r))))
$(FUZZ)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -Wno-missing-prototypes -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
$(FUZZ)/fuzz_%: $(FUZZ)/tests/fuzz/fuzz_%.o $(ROOMS:%=$(FUZZ)/%.a)
	$(CLANG) -fsanitize=fuzzer,address,undefined $^ $(OBJECT_LIBS) -ljson-c -lprotobuf-c -lm -o $@
fuzzers: $(FUZZERS)
fuzz: fuzzers ## fuzz every parser for FUZZ_SECONDS (60) each
	tests/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# --- the suites of `make test`, one at a time
unit cli live vm lint: ## one suite of the tests: unit, cli, live, vm, lint
	tests/run $@
matrix: ## the suite vm with all its tests on every kernel that can run them: half an hour
	VM_KERNELS="6.1 6.12 newest" VM_OLD=5.10 VM_PROBES="5.10 6.1 6.12 newest 6.12:arm64 lockdown" tests/run vm
# --- the ring by itself: a sonde whose only probe sends records as fast as a storm makes them
$(B)/bench/%.bpf.o: tools/bench/ring/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	$(LLVM_STRIP) -g $@
$(B)/bench/ring: tools/bench/ring/ring.c $(B)/bench/ring.bpf.o $(filter-out $(B)/user/probe/images.o,$(OBJS))
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< $(filter-out %.bpf.o,$(filter %.o,$^)) $(LDLIBS) -o $@

bench: all workloads oracles $(B)/bench/ring ## own cost beside other tools, and the slowdown of workloads
	tools/bench/run
soak: all workloads ## SOAK_SECONDS (7200) under churn: memory, descriptors and accounting must stay flat
	tests/soak $(or $(SOAK_SECONDS),7200)

install: $(B)/sonde ## PREFIX (/usr/local) and DESTDIR: program, man page, completions
	install -D -m 755 $(B)/sonde $(DESTDIR)$(PREFIX)/bin/sonde
	$(B)/sonde document man > $(B)/sonde.1
	$(B)/sonde document bash > $(B)/sonde.bash
	$(B)/sonde document zsh > $(B)/_sonde
	$(B)/sonde document fish > $(B)/sonde.fish
	install -D -m 644 $(B)/sonde.1 $(DESTDIR)$(PREFIX)/share/man/man1/sonde.1
	install -D -m 644 $(B)/sonde.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/sonde
	install -D -m 644 $(B)/_sonde $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_sonde
	install -D -m 644 $(B)/sonde.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/sonde.fish

clean: ## remove build/
	rm -rf $(B)
help: ## this list
	@sed -n 's/^\([a-z][a-z ]*\):.*## \(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{ printf "make %-34s %s\n", $$1, $$2 }'

.PHONY: all run test static unit cli live vm lint matrix unit-programs oracles workloads fuzzers fuzz bench soak install clean help
-include $(shell find $(B) -name '*.d' 2>/dev/null)
