# luaserve: `make run` and `make test` are all that a fresh Debian machine needs; `make help` lists the rest.
#
#   SANITIZE=address|thread   a build with sanitizers in a folder of its own (what `make asan` and `make tsan` do)
#   WERROR=1                  warnings are errors; CI=true sets it
#   LTO=1                     link-time optimisation of our objects and llhttp (slower to link)
#   PGO=use                   what `make pgo` has built, in a folder of its own: for `make PGO=use install`
#   V=1                       show the commands
#   CC, CFLAGS, CPPFLAGS, LDFLAGS, PREFIX, DESTDIR: as everywhere. `make clean` after changing one of these.

SANITIZE ?=
WERROR ?= $(if $(CI),1)
LTO ?=
PGO ?=
PREFIX ?= /usr/local

VARIANT := $(if $(PGO),pgo,$(if $(SANITIZE),$(or $(if $(filter address,$(SANITIZE)),asan), \
  $(if $(filter thread,$(SANITIZE)),tsan),$(error SANITIZE is address or thread)),release))
BUILD := build/$(VARIANT)
BIN := $(if $(filter release,$(VARIANT)),luaserve,$(BUILD)/luaserve)
MODULES = $(patsubst %.c,$(BUILD)/%.so,$(wildcard examples/native/*.c))

.PHONY: build run test docs site setup setup-specs setup-lint setup-fuzz setup-docs fuzz specs fuzzers asan tsan format \
  install clean distclean help need screenshots lint lint-format lint-rooms lint-c lint-lua setup-bench bench bench-quick \
  bench-floors bench-report bench-keep
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

Q := $(if $(V),,@)

build: $(BIN) $(MODULES)

# --- Packages --------------------------------------------------------------------------------------------------------

PACKAGES := gcc libc6-dev make pkg-config liblua5.4-dev libuv1-dev libc-ares-dev zlib1g-dev libbrotli-dev \
  libssl-dev libcrypt-dev libargon2-dev \
  lua-busted libedit2 brotli
DOCS_PACKAGES := pandoc mandoc
SPEC_PACKAGES := nginx haproxy openssl lua-check lua-lpeg lua-cjson zsh wrk chromium chromium-driver fonts-dejavu-core \
  $(DOCS_PACKAGES)
LINT_PACKAGES := clang-format cppcheck lua-check
FUZZ_PACKAGES := clang libclang-rt-14-dev
BENCH_PACKAGES := wrk strace nginx-light libnginx-mod-http-lua lua-http lua5.2 lua-fifo lua-cjson
INSTR_PACKAGES := valgrind

pkg = $(shell pkg-config $(1) 2>/dev/null)
LIB_DIR = $(call pkg,--variable=libdir $(1))

# Lua is linked statically and its API exported (-E), so that C modules which require loads find it in the program and
# no second Lua comes along. libuv, c-ares, zlib, brotli, argon2 and crypt are static too: one file to install, and it
# starts a little faster. OpenSSL is the system's, which mends it when that is needed.
LUA_PC := $(firstword $(foreach name,lua5.4 lua-5.4 lua54,$(if $(call pkg,--modversion $(name)),$(name))))
LUA_A := $(firstword $(wildcard $(call LIB_DIR,$(LUA_PC))/liblua5.4.a))
UV_VERSION := $(call pkg,--modversion libuv)
UV_A := $(firstword $(wildcard $(addprefix $(call LIB_DIR,libuv)/,libuv_a.a libuv.a)))
CARES_VERSION := $(call pkg,--modversion libcares)
CARES_A := $(firstword $(wildcard $(call LIB_DIR,libcares)/libcares.a))
Z_VERSION := $(call pkg,--modversion zlib)
Z_A := $(firstword $(wildcard $(call LIB_DIR,zlib)/libz.a))
BROTLI_VERSION := $(call pkg,--modversion libbrotlienc)
SSL_VERSION := $(call pkg,--modversion libcrypto)
ARGON2_VERSION := $(call pkg,--modversion libargon2)
ARGON2_A := $(firstword $(wildcard $(call LIB_DIR,libargon2)/libargon2.a))
CRYPT_VERSION := $(call pkg,--modversion libcrypt)
CRYPT_A := $(firstword $(wildcard $(call LIB_DIR,libcrypt)/libcrypt.a))
BROTLI_A := $(wildcard $(foreach name,enc dec common,$(call LIB_DIR,libbrotlienc)/libbrotli$(name).a))

# llhttp is the system's library where there is one. Debian 12 has only the C sources, in the package node-llhttp, which
# would bring Node along if it were installed: setup unpacks it below build/ instead.
LLHTTP_PC := $(if $(call pkg,--modversion libllhttp),libllhttp)
LLHTTP_C := $(if $(LLHTTP_PC),,$(firstword $(wildcard $(addsuffix /llhttp/llhttp.c,/usr/share build/llhttp/usr/share))))
LLHTTP_SHARE := $(LLHTTP_C:/llhttp/llhttp.c=)

MISSING := $(if $(LUA_PC),,liblua5.4-dev) $(if $(UV_VERSION),,libuv1-dev) $(if $(CARES_VERSION),,libc-ares-dev) \
  $(if $(Z_VERSION),,zlib1g-dev) $(if $(BROTLI_VERSION),,libbrotli-dev) \
  $(if $(SSL_VERSION),,libssl-dev) $(if $(ARGON2_VERSION),,libargon2-dev) $(if $(CRYPT_VERSION),,libcrypt-dev) \
  $(if $(LLHTTP_PC)$(LLHTTP_C),,llhttp)

# --- Flags -----------------------------------------------------------------------------------------------------------

CFLAGS ?= $(if $(SANITIZE),-O1,-O2) -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla $(if $(WERROR),-Werror)
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection \
  $(if $(SANITIZE)$(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
MODE_release := $(if $(LTO),-flto=auto)
MODE_asan := -DLS_SANITIZE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_tsan := -DLS_SANITIZE -fsanitize=thread -fno-omit-frame-pointer
# What no training reaches is compiled as without a profile. Warnings are the release build's: with a profile gcc follows
# paths that luaL_error ends, which it does not know.
MODE_pgo := $(if $(filter generate,$(PGO)),-fprofile-generate -fprofile-update=prefer-atomic,-flto=auto -fprofile-use \
  -fprofile-partial-training -w)
MODE := $(MODE_$(VARIANT))

LLHTTP_FLAGS := $(if $(LLHTTP_C),-isystem $(LLHTTP_SHARE)/include/llhttp -DLLHTTP_STRICT_MODE=1, \
  $(call pkg,--cflags libllhttp))
PKG_CFLAGS := $(call pkg,--cflags $(LUA_PC) libuv libcares zlib libbrotlienc libbrotlidec libcrypto libargon2 libcrypt)
ALL_CPPFLAGS := -D_GNU_SOURCE -Isrc -Iinclude $(PKG_CFLAGS) $(LLHTTP_FLAGS) $(CPPFLAGS)
ALL_CFLAGS := -std=c11 $(CFLAGS) $(HARDENING) $(MODE) -fvisibility=hidden $(WARNINGS)
COMPILE = $(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c

ALL_LDFLAGS := $(CFLAGS) $(MODE) -pie -Wl,-z,relro,-z,now -Wl,-E $(LDFLAGS)
# $(call static,archives,packages): the static libraries, or what pkg-config says where there are none.
static = $(if $(1),$(1) $(foreach file,$(notdir $(1)),-Xlinker --exclude-libs=$(file)),$(call pkg,--libs $(2)))
CODING_LIBS := $(call static,$(Z_A),zlib) $(call static,$(BROTLI_A),libbrotlienc libbrotlidec)
LIBS := $(if $(LUA_A),-Xlinker --whole-archive $(LUA_A) -Xlinker --no-whole-archive,$(call pkg,--libs $(LUA_PC))) \
  $(call static,$(UV_A),libuv) $(call static,$(CARES_A),libcares) $(CODING_LIBS) \
  $(call static,$(ARGON2_A),libargon2) $(call static,$(CRYPT_A),libcrypt) $(call pkg,--libs libcrypto) \
  $(if $(LLHTTP_PC),$(call pkg,--libs libllhttp)) -lpthread -lm -ldl

# --- Build -----------------------------------------------------------------------------------------------------------

SOURCES := $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
C_SPECS := $(sort $(wildcard spec/c/*/*_test.c))
LUA_DIRS := $(shell find lua/luaserve -type d 2>/dev/null)
LUA_FILES := $(shell find lua/luaserve -name '*.lua' -not -path '*/types/*' 2>/dev/null | LC_ALL=C sort)

LLHTTP_OBJECTS := $(patsubst $(LLHTTP_SHARE)/%.c,$(BUILD)/%.o,$(if $(LLHTTP_C),$(wildcard $(LLHTTP_SHARE)/llhttp/*.c)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/embedded.o $(LLHTTP_OBJECTS)
C_SPEC_BINS := $(C_SPECS:%.c=$(BUILD)/%)

$(BIN): $(OBJECTS)
	@echo "link $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(OBJECTS) $(C_SPECS:%.c=$(BUILD)/%.o): Makefile $(if $(strip $(MISSING)),need)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D) && echo "cc $<"
	$(COMPILE) -o $@ $<

$(BUILD)/llhttp/%.o: $(LLHTTP_SHARE)/llhttp/%.c
	@mkdir -p $(@D) && echo "cc $<"
	$(COMPILE) -w -o $@ $<

$(BUILD)/embedded.o: $(BUILD)/embedded.c
	$(COMPILE) -o $@ $<

# The Lua files as byte arrays (script/embedded.h). The folders are prerequisites for files that come or go.
$(BUILD)/embedded.c: $(LUA_FILES) $(LUA_DIRS) Makefile
	@mkdir -p $(@D) && echo "embed $(words $(LUA_FILES)) Lua files"
	@{ echo '#include "script/embedded.h"'; count=0; table=; \
	for file in $(LUA_FILES); do \
	  path=$${file#lua/}; name=$$(echo "$${path%.lua}" | sed 's|/init$$||; s|/|.|g'); \
	  echo "static const unsigned char source_$$count[] = {"; \
	  od -An -v -tu1 "$$file" | sed 's/ *\([0-9][0-9]*\)/\1,/g'; \
	  echo '0};'; \
	  table="$$table{\"$$name\", (const char *)source_$$count, sizeof source_$$count - 1, \"@$$path\"},\n"; \
	  count=$$((count + 1)); \
	done; \
	printf 'const struct ls_embedded ls_embedded_modules[] = {\n%b{0}};\n' "$$table"; \
	echo "const size_t ls_embedded_count = $$count;"; } > $@

# Each C spec is a program of its own, linked with everything but main.
$(C_SPECS:%.c=$(BUILD)/%.o): ALL_CPPFLAGS += -Ispec/c

$(C_SPEC_BINS): $(BUILD)/%: $(BUILD)/%.o $(filter-out $(BUILD)/src/main.o,$(OBJECTS))
	@echo "link $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Its allocations fail when it says so.
$(BUILD)/spec/c/server/memory_test: ALL_LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

# A C module as anybody writes one: the interface, Lua's, and nothing of ours.
$(MODULES): $(BUILD)/%.so: %.c include/luaserve.h Makefile $(if $(strip $(MISSING)),need)
	@mkdir -p $(@D) && echo "module $@"
	$(Q)$(CC) -Iinclude $(call pkg,--cflags $(LUA_PC)) -std=c11 $(CFLAGS) $(MODE) $(WARNINGS) -fPIC -fvisibility=hidden \
	  -shared $(LDFLAGS) -o $@ $<

need:
	@echo "missing: $(MISSING:llhttp=llhttp (libllhttp-dev or the sources in node-llhttp))" >&2
	@echo "'make setup' installs what is needed" >&2
	@exit 1

-include $(patsubst %.o,%.d,$(OBJECTS) $(C_SPECS:%.c=$(BUILD)/%.o))

# --- Set-up ----------------------------------------------------------------------------------------------------------

# $(call install,packages,"llhttp" if that is needed): installs what is missing, says so; silent when nothing is.
define install
@as_root() { \
  if [ "$$(id -u)" = 0 ]; then echo "+ $$*"; "$$@" </dev/null; \
  elif command -v sudo >/dev/null; then echo "+ sudo $$*"; sudo "$$@"; \
  else echo "make: no sudo here; please run as root: $$*" >&2; return 1; fi; \
}; \
have=" $$(dpkg-query -W -f='$${db:Status-Status}:$${Package} ' $(1) 2>/dev/null)"; missing=; llhttp=$(2); \
for package in $(1); do case "$$have" in *" installed:$$package "*) ;; *) missing="$$missing $$package" ;; esac; done; \
if [ -z "$$missing$$llhttp" ]; then exit 0; fi; \
if ! command -v apt-get >/dev/null; then \
  echo "make: no apt-get here. Please install what these Debian packages hold, then run 'make':" >&2; \
  echo "  $(1)$${llhttp:+ libllhttp-dev}" >&2; exit 1; \
fi; \
as_root apt-get -qq update || echo "make: going on with the package lists as they are" >&2; \
if [ -n "$$llhttp" ] && apt-cache show libllhttp-dev >/dev/null 2>&1; then \
  missing="$$missing libllhttp-dev"; llhttp=; \
fi; \
if [ -n "$$missing" ]; then \
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $$missing || exit 1; \
fi; \
if [ -z "$$llhttp" ]; then exit 0; fi; \
echo "+ apt-get download node-llhttp (its C sources go into build/llhttp; nothing is installed)"; \
rm -rf build/llhttp build/llhttp.new && mkdir -p build/llhttp.new && cd build/llhttp.new && \
apt-get -qq -o APT::Sandbox::User=root download node-llhttp && dpkg-deb -x node-llhttp_*.deb . && \
rm -r node-llhttp_*.deb usr/share/nodejs && mv ../llhttp.new ../llhttp
endef

setup:
	$(call install,$(PACKAGES),$(if $(LLHTTP_PC)$(LLHTTP_C),,llhttp))

# What the specs put in front of luaserve, what `luaserve check` and bench/ need, and libraries that have to work in it. Debian starts
# the services of the first two when it installs them; the specs do not need those, and start programs of their own.
setup-specs: setup # two installations at once would wait for one lock
	$(call install,$(SPEC_PACKAGES))

setup-lint:
	$(call install,make $(LINT_PACKAGES))

setup-fuzz:
	$(call install,$(FUZZ_PACKAGES))

setup-instr: setup
	$(call install,$(INSTR_PACKAGES))

setup-docs: setup
	$(call install,$(DOCS_PACKAGES))

# --- Run and test ----------------------------------------------------------------------------------------------------

# Set-up may change what the variables above find, so these go on in a second make.
run: setup
	@$(MAKE) --no-print-directory build
	./luaserve examples/hello.lua

test: setup setup-specs
	@$(MAKE) --no-print-directory specs

asan: setup setup-specs
	@$(MAKE) --no-print-directory SANITIZE=address specs

tsan: setup
	@$(MAKE) --no-print-directory SANITIZE=thread specs

# The specs of the examples that have pages, which keep what they see.
screenshots: setup setup-specs
	@$(MAKE) --no-print-directory build
	mkdir -p docs/images
	SCREENSHOTS=docs/images LUASERVE=$(abspath $(BIN)) ./$(BIN) test \
	  $$(grep -l 'spec\.support\.browser' spec/examples/*_spec.lua)

# Sanitizers of gcc 12 want addresses without much randomness; where setarch is not allowed it is tried without.
ifneq ($(SANITIZE),)
RUNNER := $(shell setarch -R true 2>/dev/null && echo setarch -R)
export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/spec/tsan.supp
endif

# Every C spec, then the Lua specs, all of them also when one fails. LUASERVE tells the specs which program they test. They
# wait for most of their time, so those of whole programs run beside the others, and are shown behind them.
# ThreadSanitizer does not follow the longjmp of a yield: after some ten thousand awaits of one process its stack of calls
# is full. So it gets the Lua specs of what runs on threads only, each in a process of its own.
PROGRAM_SPECS := spec/system spec/examples
MODULE_SPECS = $(sort $(wildcard spec/*_spec.lua))
THREAD_SPECS = $(sort $(wildcard $(foreach name,crypto crypto_* dns dns_* fs fs_* native pool runtime shared worker,spec/$(name)_spec.lua)))

# $(call lua_specs,name,paths): runs them; fails when one of them does.
lua_specs = { echo "$(BIN) test $(1)"; timeout --foreground 900 $(RUNNER) ./$(BIN) test $(2) || \
  { echo "FAILED $(BIN) test $(1) (status $$?)"; false; }; }

specs: export LUASERVE := $(abspath $(BIN))
specs: $(BIN) $(C_SPEC_BINS) $(MODULES)
	@failed=; for spec in $(C_SPEC_BINS); do \
	  echo "$${spec#$(BUILD)/}"; \
	  timeout --foreground 120 $(RUNNER) $$spec || { echo "FAILED $$spec (status $$?)"; failed=1; }; \
	done; \
	$(if $(filter thread,$(SANITIZE)), \
	  $(foreach spec,$(THREAD_SPECS),$(call lua_specs,$(spec),$(spec)) || failed=1;), \
	  beside=$$(mktemp) && { $(call lua_specs,$(PROGRAM_SPECS),$(PROGRAM_SPECS)) >"$$beside" 2>&1 & \
	  $(call lua_specs,spec/*_spec.lua,$(MODULE_SPECS)) || failed=1; \
	  wait $$! || failed=1; cat "$$beside"; rm "$$beside"; };) \
	test -z "$$failed"

# --- Fuzz ------------------------------------------------------------------------------------------------------------

# Every target of fuzz/ for that many seconds, with clang's libFuzzer and the sanitizers; a crash ends it. What it learns
# goes to build/fuzz, the seeds are in fuzz/corpus.
SECONDS ?= 60
FUZZERS := $(patsubst fuzz/%.c,build/fuzz/%,$(sort $(wildcard fuzz/*.c)))
FUZZ_SOURCES := $(sort $(wildcard src/base/*.c src/http/*.c)) \
  $(if $(LLHTTP_C),$(wildcard $(LLHTTP_SHARE)/llhttp/*.c))

fuzz: setup setup-fuzz
	@$(MAKE) --no-print-directory fuzzers
	@echo "$(words $(FUZZERS)) targets, $(SECONDS) seconds each, $$(nproc) at a time; each says so when it is done"
	@printf '%s\n' $(FUZZERS:build/fuzz/%=%) | xargs -P "$$(nproc)" -I NAME sh -c 'mkdir -p build/fuzz/corpus/NAME; \
	  build/fuzz/NAME -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
	    -artifact_prefix=build/fuzz/NAME- build/fuzz/corpus/NAME fuzz/corpus/NAME >build/fuzz/NAME.log 2>&1 || \
	    { echo "FAILED fuzz/NAME:"; tail -40 build/fuzz/NAME.log; exit 1; }; \
	  echo "fuzz/NAME: $$(grep "^Done" build/fuzz/NAME.log)"'

fuzzers: $(FUZZERS)

# This one compares with the matcher of Lua itself.
build/fuzz/pattern: FUZZ_MORE := src/script/pattern.c $(or $(LUA_A),$(call pkg,--libs $(LUA_PC))) -lm -ldl
build/fuzz/pattern: src/script/pattern.c src/script/pattern.h

$(FUZZERS): build/fuzz/%: fuzz/%.c Makefile $(FUZZ_SOURCES) $(wildcard fuzz/*.h src/base/*.h src/http/*.h)
	@mkdir -p $(@D) && echo "fuzzer $@"
	$(Q)clang $(ALL_CPPFLAGS) -Ifuzz -std=c11 -O1 -g -w -fsanitize=fuzzer,address,undefined -fno-sanitize=pointer-overflow \
	  -fno-sanitize-recover=all -o $@ $< $(FUZZ_SOURCES) $(FUZZ_MORE) $(CODING_LIBS) \
	  $(if $(LLHTTP_PC),$(call pkg,--libs libllhttp))

# --- Bench -----------------------------------------------------------------------------------------------------------

# luaserve beside what one would use instead: bench/README.md. The peers are Debian's, and npm's in build/bench/peers.
#   make bench WORKS="plaintext json" SERVERS="luaserve node" ROUNDS=3 DURATION=3
FLOORS := build/bench/epoll build/bench/uv
PEERS := build/bench/peers/node_modules/.package-lock.json
NODE_PACKAGES := $(if $(shell command -v node),,nodejs) $(if $(shell command -v npm),,npm)

setup-bench: setup
	$(call install,$(BENCH_PACKAGES) $(NODE_PACKAGES))
	@$(MAKE) --no-print-directory $(PEERS)

$(PEERS): bench/peers/package.json bench/peers/package-lock.json
	@mkdir -p build/bench/peers && cp $^ build/bench/peers
	npm --prefix build/bench/peers ci --no-audit --no-fund --loglevel=error
	@touch $@

build/bench/epoll: bench/floor/epoll.c
	@mkdir -p $(@D) && echo "floor $@"
	$(Q)$(CC) -std=c11 -O2 $(WARNINGS) -o $@ $<

build/bench/uv: bench/floor/uv.c $(LLHTTP_OBJECTS)
	@mkdir -p $(@D) && echo "floor $@"
	$(Q)$(CC) $(ALL_CPPFLAGS) -std=c11 -O2 $(WARNINGS) -pie -fPIE -o $@ $^ $(call static,$(UV_A),libuv) \
	  $(if $(LLHTTP_PC),$(call pkg,--libs libllhttp)) -lpthread -ldl

bench-floors: $(FLOORS)

bench-report: $(BIN)
	./$(BIN) bench/report.lua

# Makes the last run the one that is shown.
bench-keep: $(BIN)
	cp build/bench/results.json bench/results.json
	./$(BIN) bench/report.lua bench/results.json bench/report.html bench/README.md

bench: setup-bench
	@$(MAKE) --no-print-directory build bench-floors
	@test build/pgo/luaserve -nt luaserve || $(MAKE) --no-print-directory pgo
	@ulimit -n $$(ulimit -Hn) && ./$(BIN) bench/run.lua $(if $(QUICK),--quick) --works "$(WORKS)" --servers "$(SERVERS)" \
	  --rounds "$(ROUNDS)" --duration "$(DURATION)"
	@$(MAKE) --no-print-directory bench-report

bench-quick: QUICK := 1
bench-quick: ROUNDS := $(or $(ROUNDS),1)
bench-quick: DURATION := $(or $(DURATION),1)
bench-quick: bench

# --- Instructions a request ------------------------------------------------------------------------------------------

# Counted by callgrind, beside those of bench/instr.tsv: printed, or an error where one of them has grown by 3 %, or stored.
# Only what is made of the same versions is compared strictly. bench/README.md tells more.
LLHTTP_VERSION = $(or $(call pkg,--modversion $(LLHTTP_PC)),$(shell sed -n 's/^\#define LLHTTP_VERSION_[A-Z]* //p' \
  $(LLHTTP_SHARE)/include/llhttp/llhttp.h | paste -sd.))
INSTR_VERSIONS = machine=$(shell uname -m) build=$(VARIANT)$(if $(LTO),-lto) \
  cc=$(shell $(CC) -dumpfullversion -dumpversion) libc=$(lastword $(shell getconf GNU_LIBC_VERSION)) \
  lua=$(call pkg,--modversion $(LUA_PC)) libuv=$(UV_VERSION) llhttp=$(LLHTTP_VERSION) openssl=$(SSL_VERSION) \
  zlib=$(Z_VERSION) $(shell valgrind --version)

.PHONY: setup-instr bench-instr bench-instr-check bench-instr-store bench-instr-profile
bench-instr bench-instr-check bench-instr-store bench-instr-profile: setup setup-instr
	@$(MAKE) --no-print-directory count-$(or $(@:bench-instr%=%),-show) WORK="$(WORK)"

count--%: $(BIN) build/instr/callgrind.so
	@INSTR_PROGRAM=./$(BIN) INSTR_JOBS=$$(nproc) INSTR_VERSIONS="$(strip $(INSTR_VERSIONS))" \
	  ./$(BIN) bench/instr.lua $* $(WORK)

build/instr/callgrind.so: bench/instr/callgrind.c Makefile
	@mkdir -p $(@D) && echo "module $@"
	$(Q)$(CC) $(call pkg,--cflags $(LUA_PC)) -std=c11 -O2 -g $(WARNINGS) -fPIC -fvisibility=hidden -shared -o $@ $<

# --- Profile-guided ---------------------------------------------------------------------------------------------------

# The same works train a program that counts which way it goes, and what it writes beside its objects guides a second build,
# which is optimised at link time too.
.PHONY: pgo
pgo: setup
	@rm -rf build/pgo && mkdir -p build/instr
	@$(MAKE) --no-print-directory PGO=generate build/pgo/luaserve
	@build/pgo/luaserve bench/instr/train.lua
	@find build/pgo -name '*.o' -delete && rm build/pgo/luaserve
	@$(MAKE) --no-print-directory PGO=use build/pgo/luaserve

# --- Tools -----------------------------------------------------------------------------------------------------------

C_FILES := $(sort $(wildcard include/*.h examples/*/*.c src/*.[ch] src/*/*.[ch] src/*/*/*.[ch] spec/c/*.[ch] \
  spec/c/*/*.[ch] fuzz/*.[ch] bench/*.c bench/*/*.c))
LUA_ROOTS := $(sort $(foreach dir,lua spec examples bench docs,$(if $(shell find $(dir) -name '*.lua' 2>/dev/null),$(dir))))

# Includes point one way: room, and what none of its files may include.
ROOMS := base:loop/|http/|server/|script/|bind/|uv|lua loop:http/|server/|script/|bind/|lua \
  http:loop/|server/|script/|bind/|uv|lua server:script/|bind/|lua script:http/|server/|bind/

# `make -k lint` goes on after the first complaint.
lint: lint-format lint-rooms lint-c lint-lua

lint-format: setup-lint
	clang-format --dry-run -Werror $(C_FILES)

lint-rooms:
	@for rule in $(foreach room,$(ROOMS),'$(room)'); do room=src/$${rule%%:*}; \
	  if grep -rnE "^# *include [\"<]($${rule#*:})" $$room; then echo "$$room must not include that"; exit 1; fi; \
	done

lint-c: setup-lint
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --suppress='memleakOnRealloc:spec/*' --suppress=readdirCalled --library=posix \
  -D_GNU_SOURCE -D__linux__ -Iinclude -Isrc -Ispec/c src spec/c examples bench/floor

lint-lua: setup-lint
	$(if $(LUA_ROOTS),luacheck --quiet $(LUA_ROOTS))

format:
	clang-format -i $(C_FILES)

compile_commands.json: Makefile $(SOURCES) $(C_SPECS)
	@{ comma='['; for file in $(SOURCES) $(C_SPECS); do \
	  printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$comma" '$(CURDIR)' "$$file" \
	    '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c '"$$file"; comma=,; \
	done; printf '\n]\n'; } > $@

SHARE = $(DESTDIR)$(PREFIX)/share
install: build $(BUILD)/completion/luaserve $(BUILD)/completion/_luaserve
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/luaserve
	install -D -m 644 include/luaserve.h $(DESTDIR)$(PREFIX)/include/luaserve.h
	install -D -m 644 docs/luaserve.1 $(SHARE)/man/man1/luaserve.1
	install -D -m 644 $(BUILD)/completion/luaserve $(SHARE)/bash-completion/completions/luaserve
	install -D -m 644 $(BUILD)/completion/_luaserve $(SHARE)/zsh/site-functions/_luaserve

$(BUILD)/completion/luaserve $(BUILD)/completion/_luaserve: $(BIN)
	@mkdir -p $(@D)
	$(Q)./$(BIN) completion $(if $(filter _%,$(@F)),zsh,bash) > $@

clean:
	rm -rf build/release build/asan build/tsan build/pgo luaserve compile_commands.json

distclean: clean
	rm -rf build

help:
	@echo 'make                    build ./luaserve'
	@echo 'make run                set up, build, serve examples/hello.lua on http://127.0.0.1:8080'
	@echo 'make test               set up, build, run every spec'
	@echo 'make asan, make tsan    the same with AddressSanitizer and UBSan, or ThreadSanitizer, in folders of their own'
	@echo 'make docs               the documentation as a site, with a search, in build/docs'
	@echo 'make setup, setup-specs, setup-lint  only install the packages that are missing'
	@echo 'make screenshots        the pictures of the examples in docs/images'
	@echo 'make lint, make format  check everything, format the C files'
	@echo 'make fuzz               SECONDS=60 for each target of fuzz/, with clang'
	@echo 'make bench, bench-quick  measure beside Node, Bun, Deno, nginx and others: bench/README.md'
	@echo 'make bench-instr        instructions a request of some works, beside those stored; -check, -store, -profile WORK=...'
	@echo 'make pgo                a faster build/pgo/luaserve: gcc learns from a load; `make PGO=use install` installs it'
	@echo 'make install            with man page and completion; PREFIX=/usr/local DESTDIR='
	@echo 'make compile_commands.json  for clangd'
	@echo 'make clean, distclean   remove what was built; also the unpacked llhttp'
