# JabberTTS: everything is built under $(BUILD).
#
#   make                 build/jabbertts and the libraries
#   make test            unit, kernel and golden tests
#   make check-isa       kernels of other instruction sets: neon and i8mm in qemu, avxvnni, avx512 and amx emulated
#   make test-mutations  do the tests notice when a decision of the scheduler is wrong?
#   make test-fullsize   the published checkpoint's names, nestings and sizes (minutes, 10 GB)
#   make test-kills      a batch whose server is killed at 50 moments
#   make test-python     the wheel of python/, installed and tested (fetches numpy, pytest)
#   make test-ray        jabbertts.ray on two nodes of Ray, one killed in the middle (fetches Ray)
#   make test-sockets    50 WebSockets with barge-in for SOCKET_SECONDS (120), and what is left of them
#   make test-replicas   replicas on PostgreSQL behind HAProxy, killed for five minutes
#   make test-clients    OpenAI's clients and a browser against a live server (installs them)
#   make test-onnx       engine onnx: against our kernels, and the server's HTTP tests on it (fetches ONNX Runtime)
#   make fuzz            every fuzz target for FUZZ_SECONDS (clang)
#   make fuzz-hour       an hour of that in all; make fuzz-keep adds what it found new to tests/fuzz/corpus
#   make lint            banned functions, layering, function lengths, format
#   make release-check   tests, golden sets, quality and instructions against the last release (packaging/setup --release)
#   make dist            build/dist: source, packages, a tarball that runs anywhere, bill of materials, sums
#   make bench           benchmarks of bench/
#   make coverage        line coverage of src/ by the tests (gcc, gcovr)
#   make site            build/site: the documents as a web site, its links checked (packaging/setup --release)
#   make install         DESTDIR, PREFIX, LIBDIR, MANDIR ... are honoured; make uninstall takes it away
#   make clean           remove $(BUILD)
#
# SANITIZER=address|undefined|thread|address,undefined builds in a directory of its own.
# CC=clang and CFLAGS work as usual.

VERSION   := 0.2.0
SANITIZER ?=
COVERAGE  ?=
SIMDE     ?=
BUILD     ?= build$(if $(SANITIZER),-$(subst $(comma),-,$(SANITIZER)))$(if $(COVERAGE),-coverage)
PREFIX    ?= /usr/local
BINDIR    ?= $(PREFIX)/bin
LIBDIR    ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR   ?= $(PREFIX)/share
MANDIR    ?= $(DATADIR)/man
DOCDIR    ?= $(DATADIR)/doc/jabbertts
FUZZ_SECONDS ?= 20
comma     := ,
V         ?=
Q         := $(if $(V),,@)

CFLAGS    ?= -O2 -g
PACKAGES  := md4c jansson yaml-0.1 libzip libpcre2-8 icu-uc icu-i18n expat libavformat libavcodec \
             libavutil libswresample libebur128 sqlite3 libpq libarchive libcurl gnutls libprotobuf-c
# Avahi is used where it is there: src/server/announce.c.
SERVER_PACKAGES := libmicrohttpd libseccomp $(shell pkg-config --exists avahi-client && echo avahi-client)
CLI_PACKAGES := ao libxml-2.0
WARN      := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
             -Wpointer-arith -Wwrite-strings -Wno-psabi
ALL_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -DJABBERTTS_VERSION='"$(VERSION)"' \
             -DJABBERTTS_DATA_DIR='"$(DATADIR)/jabbertts"' -Iinclude -Isrc -isystem $(BUILD)/onnx -pthread -fPIC \
             -fvisibility=hidden -ffp-contract=off $(WARN) \
             $(if $(PACKAGES),$(shell pkg-config --cflags $(PACKAGES) $(SERVER_PACKAGES) $(CLI_PACKAGES) | sed 's/-I/-isystem /g')) $(CFLAGS)
SERVER_LIBS := $(if $(PACKAGES),$(shell pkg-config --libs $(SERVER_PACKAGES)) -lwslay)
CLI_LIBS := $(if $(PACKAGES),$(shell pkg-config --libs $(CLI_PACKAGES)))
LIBS      := $(if $(PACKAGES),$(shell pkg-config --libs $(PACKAGES))) -lespeak-ng -lsonic -lm -pthread
# Hardening, where the compiler has it; the sanitizers do some of it themselves, and better.
HARDEN_x86_64  := -fcf-protection
HARDEN_aarch64 := -mbranch-protection=standard
ifeq ($(SANITIZER)$(COVERAGE)$(findstring fuzz,$(BUILD)),)
HARDEN     := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(HARDEN_$(shell $(CC) -dumpmachine | cut -d- -f1))
HARDEN_NOT := -fno-stack-protector # of kernels, which get lengths that were checked
HARDEN_LD  := -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(findstring -O0,$(CFLAGS)),)
HARDEN     := $(filter-out -D_FORTIFY_SOURCE=2,$(HARDEN)) # which needs optimization
endif
ALL_CFLAGS += $(HARDEN)
LDFLAGS    += $(HARDEN_LD)
endif
ifneq ($(SANITIZER),)
ALL_CFLAGS += -DJABBERTTS_INSTRUMENTED -fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS    += -fsanitize=$(SANITIZER)
endif
ifneq ($(COVERAGE),)
ALL_CFLAGS += -DJABBERTTS_INSTRUMENTED --coverage -O1
LDFLAGS    += --coverage
endif

CROSS_CC  := aarch64-linux-gnu-gcc
QEMU      := $(firstword $(shell command -v qemu-aarch64-static qemu-aarch64))
ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
ISA_x86_64  := avx2 avxvnni avx512 amx
ISA_aarch64 := neon i8mm
ISA_ALL     := avx2 avxvnni avx512 amx neon i8mm
# Only these files may use instructions beyond the baseline; fused multiply-add is theirs alone.
# Clang's `fast` fuses where it happens to see both, which depends on what is inlined where; its `on` fuses by
# expression.
FUSED        := -ffp-contract=$(if $(findstring clang,$(CC)),on,fast)
FLAGS_ref    := -O3
FLAGS_avx2   := -O3 $(FUSED) -mavx2 -mfma -mf16c
FLAGS_avxvnni := $(FLAGS_avx2) -mavxvnni
FLAGS_avx512 := -O3 $(FUSED) -mprefer-vector-width=512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni
FLAGS_amx    := $(FLAGS_avx512) -mamx-tile -mamx-int8
FLAGS_neon   := -O3 $(FUSED) -march=armv8.2-a+dotprod+fp16
FLAGS_i8mm   := $(FLAGS_neon)+i8mm
ifneq ($(SIMDE),) # on a machine that has avx2 only: see src/kernels/x86.h
FLAGS_avxvnni := $(FLAGS_avx2)
FLAGS_avx512 := $(FLAGS_avx2)
FLAGS_amx    := $(FLAGS_avx2)
ALL_CFLAGS += -DKERN_SIMDE
endif
$(foreach i,ref $(ISA_ALL),$(eval FLAGS_conv8_$(i) := $(FLAGS_$(i))))
# The undefined-behaviour sanitizer makes the unrolled kernels take minutes to compile. check-isa looks at every form
# with it; other sanitized builds keep the address sanitizer there.
ifneq ($(filter address%,$(SANITIZER))$(findstring fuzz,$(BUILD)),)
LIGHT := -O1 -fno-sanitize=undefined
endif

SRC := $(filter-out $(foreach i,$(filter-out $(ISA_$(ARCH)),$(ISA_ALL)),src/kernels/$(i).c src/kernels/conv8_$(i).c), \
       $(wildcard src/base/*.c src/kernels/*.c src/formats/*.c src/model/*.c src/text/*.c \
                  src/audio/*.c src/store/*.c src/engine/*.c src/tools/*.c src/engine/*/*.c \
                  src/hub/*.c))
# ONNX Runtime is loaded when it is asked for; to build only its header is needed (packaging/setup --onnx).
ONNXRUNTIME := $(patsubst %/onnxruntime/onnxruntime_c_api.h,%,$(firstword $(wildcard \
                 build/onnxruntime/include/onnxruntime/onnxruntime_c_api.h \
                 /usr/include/onnxruntime/onnxruntime_c_api.h)))
SRC := $(filter-out $(if $(ONNXRUNTIME),src/model/ort_none.c,src/model/ort.c src/model/ort_model.c \
                         src/model/ort_lm.c src/model/ort_codec.c),$(SRC))
ALL_CFLAGS += $(if $(filter-out /usr/include,$(ONNXRUNTIME)),-isystem $(ONNXRUNTIME))
SERVER := $(wildcard src/server/*.c)
CLI := $(wildcard src/cli/*.c)
OBJ := $(SRC:%.c=$(BUILD)/%.o)
KERNEL_OBJ := $(filter $(BUILD)/src/base/% $(BUILD)/src/kernels/%,$(OBJ))
SERVER_OBJ := $(SERVER:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI:%.c=$(BUILD)/%.o)
UNIT  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
BENCH := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

.PHONY: all test test-mutations test-fullsize test-kills test-sockets test-replicas test-python test-ray test-clients test-onnx check-isa lint fuzz fuzz-hour fuzz-keep bench coverage release-check dist site install uninstall clean
all: $(BUILD)/jabbertts $(BUILD)/libjabbertts.a $(BUILD)/libjabbertts.so $(BUILD)/jabbertts.pc

-include $(OBJ:.o=.d) $(SERVER_OBJ:.o=.d) $(CLI_OBJ:.o=.d)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(findstring src/kernels,$<),$(HARDEN_NOT) $(FLAGS_$(basename $(notdir $<))) $(LIGHT)) -MMD -MP -c $< -o $@

# The page and the table of languages are built into the binary as they are.
$(BUILD)/src/text/latin.o: src/text/latin.table
$(BUILD)/src/server/page.o: $(wildcard src/server/page/*)
# So are the languages.
$(BUILD)/src/text/lang.o: $(wildcard share/lang/*)

# What writes ONNX comes from ONNX's own schema.
ONNX_PROTO := $(firstword $(wildcard /usr/include/onnx/onnx.proto /usr/local/include/onnx/onnx.proto))
ONNX_SCHEMA := $(BUILD)/onnx/onnx/onnx.pb-c
$(ONNX_SCHEMA).c: $(ONNX_PROTO)
	@mkdir -p $(BUILD)/onnx
	$(Q)protoc-c -I$(patsubst %/onnx/onnx.proto,%,$(ONNX_PROTO)) --c_out=$(BUILD)/onnx onnx/onnx.proto
$(ONNX_SCHEMA).o: $(ONNX_SCHEMA).c Makefile
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@
$(BUILD)/src/formats/onnx.o: $(ONNX_SCHEMA).c
OBJ += $(ONNX_SCHEMA).o

# With ONNX Runtime's header there are other objects, so the libraries are made anew.
ifneq ($(ONNXRUNTIME),$(shell cat $(BUILD)/onnxruntime.from 2>/dev/null))
.PHONY: $(BUILD)/onnxruntime.from
endif
$(BUILD)/onnxruntime.from:
	@mkdir -p $(@D)
	@echo '$(ONNXRUNTIME)' > $@

$(BUILD)/libjabbertts.a: $(OBJ) $(BUILD)/onnxruntime.from
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(BUILD)/libjabbertts.so: $(OBJ) $(BUILD)/onnxruntime.from
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libjabbertts.so.0 $(filter %.o,$^) $(LIBS) -o $@

# The server is no part of the library, but its unit tests and fuzz targets link it.
$(BUILD)/libserver.a: $(SERVER_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/jabbertts: $(CLI_OBJ) $(BUILD)/libserver.a $(BUILD)/libjabbertts.a
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(CLI_LIBS) $(SERVER_LIBS) $(LIBS) -o $@

# Where things will be found is compiled into these, so they are made anew when it changes.
PLACES := $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(DATADIR)
ifneq ($(PLACES),$(shell cat $(BUILD)/places 2>/dev/null))
.PHONY: $(BUILD)/places
endif
$(BUILD)/places:
	@mkdir -p $(@D)
	@echo '$(PLACES)' > $@
$(patsubst %.c,$(BUILD)/%.o,$(shell grep -l JABBERTTS_DATA_DIR $(SRC))): $(BUILD)/places
$(BUILD)/jabbertts.pc: packaging/jabbertts.pc.in Makefile $(BUILD)/places
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(PACKAGES)|' $< > $@

# The manual page and shell completion come from the program's own table of options.
$(BUILD)/jabbertts.1: $(BUILD)/jabbertts
	$(Q)$< config man > $@
$(BUILD)/completion.%: $(BUILD)/jabbertts
	$(Q)$< completion $* > $@

# tests/unit/test_X.c is one cmocka program; tests/golden and tests/kernels are one program each.
$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libserver.a $(BUILD)/libjabbertts.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(LDFLAGS) $< $(filter %.a,$^) -lcmocka $(SERVER_LIBS) $(LIBS) -o $@
$(BUILD)/golden: $(wildcard tests/golden/*.c) $(BUILD)/libjabbertts.a
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(LDFLAGS) $(filter %.c,$^) $(BUILD)/libjabbertts.a $(LIBS) -o $@
# The text front end with its basic blocks counted.
LINEAR_OBJ := $(patsubst src/%.c,$(BUILD)/linear/%.o,$(wildcard src/text/*.c src/base/*.c))
$(BUILD)/linear/text/lang.o $(BUILD)/linear/text/latin.o: $(wildcard share/lang/*) src/text/latin.table
$(BUILD)/linear/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -O1 -g0 -fsanitize-coverage=trace-pc -MMD -MP -c $< -o $@
-include $(LINEAR_OBJ:.o=.d)
$(BUILD)/check_linear: tests/linear/linear.c $(LINEAR_OBJ)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lcmocka $(LIBS) -o $@
$(BUILD)/check_kernels: $(wildcard tests/kernels/*.c) $(KERNEL_OBJ)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(LDFLAGS) $^ -lm -pthread -o $@
$(BUILD)/bench/%: bench/%.c $(BUILD)/libjabbertts.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $< $(BUILD)/libjabbertts.a $(LIBS) -o $@

test: $(UNIT) $(BUILD)/golden $(BUILD)/check_kernels $(BUILD)/check_linear $(BUILD)/jabbertts $(BUILD)/libjabbertts.so
	BUILD=$(BUILD) tests/run

test-mutations:
	CC="$(CC)" tests/mutations

test-fullsize: $(BUILD)/jabbertts
	BUILD=$(BUILD) python3 tests/fullsize/run.py

# With ONNX Runtime, which this fetches: the graphs against our kernels, and the server on them.
test-onnx:
	packaging/setup --onnx
	$(MAKE) $(BUILD)/jabbertts $(BUILD)/tests/test_ort
	$(BUILD)/tests/test_ort
	sh tests/cli/onnx.sh
	for t in tests/http/test_*.py; do \
	    JABBERTTS_ENGINE=onnx BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 python3 $$t || exit 1; done

# A batch whose server is killed at 50 moments; replicas on PostgreSQL behind HAProxy, killed for five
# minutes (tests/replicas/run.py alone is shorter).
test-kills: $(BUILD)/jabbertts
	BUILD=$(BUILD) BATCH_KILLS=50 BATCH_KILL_LINES=200 python3 tests/http/test_batches.py killed
test-sockets: $(BUILD)/jabbertts
	BUILD=$(BUILD) python3 tests/sockets.py --seconds $${SOCKET_SECONDS:-120}
test-replicas: $(BUILD)/jabbertts
	BUILD=$(BUILD) REPLICAS_SECONDS=$${REPLICAS_SECONDS:-300} REPLICAS_AWAY=$${REPLICAS_AWAY:-20} \
	    REPLICAS_USERS=$${REPLICAS_USERS:-20} REPLICAS_LINES=$${REPLICAS_LINES:-400} python3 tests/replicas/run.py

test-python: $(BUILD)/libjabbertts.so
	BUILD=$(BUILD) tests/python.sh
test-ray: $(BUILD)/libjabbertts.so
	BUILD=$(BUILD) tests/python.sh ray

test-clients: $(BUILD)/jabbertts
	BUILD=$(BUILD) python3 tests/clients/run.py

# Instruction sets that this machine lacks: the kernels alone, which need no library, with the
# undefined-behaviour sanitizer (which traps where no run-time library is at hand).
check-isa:
	$(MAKE) CC=$(CROSS_CC) BUILD=build-neon PACKAGES= LDFLAGS=-static \
	    CFLAGS="-O2 -g0 -fsanitize=undefined -fsanitize-undefined-trap-on-error" build-neon/check_kernels
	$(QEMU) build-neon/check_kernels neon i8mm
	$(QEMU) -cpu cortex-a72 build-neon/check_kernels neon i8mm | grep '^0 passed' # which lacks the instructions
	$(MAKE) SIMDE=1 SANITIZER=undefined BUILD=build-simde PACKAGES= CFLAGS="-O2 -g0" \
	    build-simde/check_kernels
	build-simde/check_kernels ref avx2 avxvnni avx512 amx

# Fuzz targets: tests/fuzz/fuzz_X.c, seeds in tests/fuzz/corpus/X; findings and new inputs stay in
# the build directory.
FUZZ_BUILD := build-fuzz
FUZZ := $(patsubst tests/fuzz/%.c,$(FUZZ_BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
.PHONY: fuzz-lib
fuzz-lib:
	$(MAKE) CC=clang BUILD=$(FUZZ_BUILD)/lib CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" $(FUZZ_BUILD)/lib/libserver.a $(FUZZ_BUILD)/lib/libjabbertts.a
$(FUZZ_BUILD)/%: tests/fuzz/%.c fuzz-lib
	clang $(ALL_CFLAGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $< \
	    $(FUZZ_BUILD)/lib/libserver.a $(FUZZ_BUILD)/lib/libjabbertts.a $(SERVER_LIBS) $(LIBS) -o $@
fuzz: $(FUZZ)
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ)

# SECURITY.md says when that was done last.
fuzz-hour: $(FUZZ)
	FUZZ_SECONDS=$$((3600 * $$(nproc) / $(words $(FUZZ)))) tests/fuzz/run $(FUZZ)
fuzz-keep: $(FUZZ)
	tests/fuzz/run --keep $(FUZZ)

bench: $(BENCH)

coverage:
	$(MAKE) COVERAGE=1 test
	gcovr --root . --filter src/ --print-summary build-coverage

lint:
	packaging/lint

release-check:
	BUILD=$(BUILD) packaging/release --check
dist:
	packaging/dist
site:
	packaging/site

# For packaging/lint.
.PHONY: print-cflags
print-cflags:
	@echo '$(ALL_CFLAGS)'

# What is installed: source:mode:place
INSTALLED := $(BUILD)/jabbertts:755:$(BINDIR)/jabbertts \
    models/jabber-tiny.gguf:644:$(DATADIR)/jabbertts/jabber-tiny.gguf \
    models/ear.gguf:644:$(DATADIR)/jabbertts/ear.gguf \
    models/ear.LICENSE:644:$(DOCDIR)/ear.LICENSE \
    $(foreach f,$(wildcard share/lang/*.lang),$(f):644:$(DATADIR)/jabbertts/lang/$(notdir $(f))) \
    $(BUILD)/jabbertts.1:644:$(MANDIR)/man1/jabbertts.1 \
    $(BUILD)/completion.bash:644:$(DATADIR)/bash-completion/completions/jabbertts \
    $(BUILD)/completion.zsh:644:$(DATADIR)/zsh/site-functions/_jabbertts \
    $(BUILD)/completion.fish:644:$(DATADIR)/fish/vendor_completions.d/jabbertts.fish \
    packaging/speech-dispatcher/jabbertts-generic.conf:644:$(DATADIR)/jabbertts/jabbertts-generic.conf \
    LICENSE:644:$(DOCDIR)/LICENSE \
    $(foreach h,$(notdir $(wildcard include/*.h)),include/$(h):644:$(INCLUDEDIR)/$(h)) \
    $(BUILD)/libjabbertts.a:644:$(LIBDIR)/libjabbertts.a \
    $(BUILD)/libjabbertts.so:755:$(LIBDIR)/libjabbertts.so.0 \
    $(BUILD)/jabbertts.pc:644:$(LIBDIR)/pkgconfig/jabbertts.pc

define install_one
	install -D -m $(word 2,$(1)) $(word 1,$(1)) $(DESTDIR)$(word 3,$(1))

endef
install: all $(foreach i,$(INSTALLED),$(firstword $(subst :, ,$(i))))
	$(foreach i,$(INSTALLED),$(call install_one,$(subst :, ,$(i))))
	ln -sf libjabbertts.so.0 $(DESTDIR)$(LIBDIR)/libjabbertts.so
# Voices of users and configuration stay.
uninstall:
	rm -f $(foreach i,$(INSTALLED),$(DESTDIR)$(lastword $(subst :, ,$(i)))) $(DESTDIR)$(LIBDIR)/libjabbertts.so
	-rmdir $(DESTDIR)$(DATADIR)/jabbertts/lang $(DESTDIR)$(DATADIR)/jabbertts $(DESTDIR)$(DOCDIR)

clean:
	rm -rf build build-*
