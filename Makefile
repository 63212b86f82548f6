# mod_rensei: three httpd modules, one library, one tool.
#
#   make            build everything into build/
#   make run        a gateway with its embedded default, in the foreground
#   make start/stop the same in the background
#   make test       all tests
#   make check-unit the unit tests alone
#   make check-asan all of them under the sanitizers (over SQLite, slow)
#   make check-valgrind  the same under valgrind (an hour or more)
#   make coverage   what of lib/ the unit tests run
#   make fuzz       search for inputs that break a reader (FUZZ_SECONDS each)
#   make soak       a mixed load for long (MINUTES=30, STORE=sqlite or pgsql)
#   make bench      what it costs, next to others (QUICK=1: in minutes)
#   make lint       formatting, compiler and static analysis
#   make install    modules, renseictl and conf.d/ (DESTDIR is honoured)

APXS ?= apxs
CC ?= gcc
BUILD := build

apxs_q = $(shell command -v $(APXS) >/dev/null && $(APXS) -q $(1))
pkg = $(shell pkg-config $(1) 2>/dev/null)

LIBEXECDIR := $(call apxs_q,LIBEXECDIR)
MACHINE := $(shell $(CC) -dumpmachine)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wundef -Wno-unused-parameter $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
	-fvisibility=hidden $(if $(filter x86_64%,$(MACHINE)),-fcf-protection)
OPT ?= -O2 -g
CFLAGS_ALL := -std=gnu11 $(OPT) -fPIC $(WARN) $(HARDEN) $(CFLAGS)
INC_LIB := -Ilib $(call pkg,--cflags apr-1 apr-util-1 jansson openssl)
INC_HTTPD := -Ihttpd -Imod_rensei_auth -isystem $(call apxs_q,INCLUDEDIR)
LIBS := $(call pkg,--libs jansson openssl)
LIBS_TOOL := $(call pkg,--libs apr-util-1 apr-1) $(LIBS)
LDHARDEN := -Wl,-z,relro,-z,now,-z,noexecstack

LIB_SRC := $(wildcard lib/*.c)
HTTPD_SRC := $(wildcard httpd/*.c)
TOOL_SRC := $(wildcard support/*.c)
UNIT_SRC := $(wildcard tests/unit/*.c)
FUZZ_SRC := $(filter-out %/fuzz_engine.c,$(wildcard tests/fuzz/*.c))
FUZZ_TARGETS := $(shell sed -n 's/^TARGET(\(.*\))$$/\1/p' tests/fuzz/targets.def)
MODULES := rensei_auth rensei_token rensei_admin
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
MODULE_SO := $(foreach m,$(MODULES),$(BUILD)/mod_$(m).so)

.PHONY: all
all: $(MODULE_SO) $(BUILD)/renseictl

$(BUILD)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_LIB) -MMD -MP -c -o $@ $<

$(BUILD)/support/%.o: support/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_LIB) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_LIB) $(call pkg,--cflags check) -MMD -MP -c -o $@ $<

$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_LIB) -Itests/fuzz -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INC_LIB) $(INC_HTTPD) -MMD -MP -c -o $@ $<

$(BUILD)/librensei.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

# The module record is the only symbol a module exports: APR loads modules
# RTLD_GLOBAL, and a second module would run the first one's copy of lib/.
$(BUILD)/%.map: Makefile
	@mkdir -p $(@D)
	@printf '{ global: %s; local: *; };\n' '$*' > $@

# What several targets are made of is kept.
.SECONDARY:

.SECONDEXPANSION:
$(BUILD)/mod_%.so: $$(call obj,$$(wildcard mod_%/*.c)) \
		$(call obj,$(HTTPD_SRC)) $(BUILD)/librensei.a $(BUILD)/%_module.map
	$(CC) -shared -o $@ $(filter %.o,$^) $(BUILD)/librensei.a \
		-Wl,--version-script=$(BUILD)/$*_module.map -Wl,--no-undefined-version \
		$(LDHARDEN) $(LDFLAGS) $(LIBS)

$(BUILD)/renseictl: $(call obj,$(TOOL_SRC)) $(BUILD)/librensei.a
	$(CC) -pie -o $@ $(filter %.o,$^) $(BUILD)/librensei.a $(LDHARDEN) $(LDFLAGS) $(LIBS_TOOL)

$(BUILD)/unit: $(call obj,$(UNIT_SRC)) $(BUILD)/librensei.a
	$(CC) -o $@ $(filter %.o,$^) $(BUILD)/librensei.a $(LDFLAGS) \
		$(LIBS_TOOL) $(call pkg,--libs check)

# The inputs that fuzzing found worth keeping, once each.
$(BUILD)/fuzz-replay: $(call obj,$(FUZZ_SRC)) $(BUILD)/librensei.a
	$(CC) -o $@ $(filter %.o,$^) $(BUILD)/librensei.a $(LDFLAGS) $(LIBS_TOOL)

.PHONY: check-unit
check-unit: $(BUILD)/unit $(BUILD)/fuzz-replay
	@$(BUILD)/unit 1/2 & first=$$!; $(BUILD)/unit 2/2; second=$$?; \
		wait $$first && exit $$second
	$(BUILD)/fuzz-replay tests/fuzz/corpus

.PHONY: test
test: all $(BUILD)/unit $(BUILD)/fuzz-replay
	tests/run.sh $(BUILD)

# ---- assurance: sanitizers, valgrind, coverage, fuzzing ----------------------

# Each in a folder of its own, made with flags of its own.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined

WATCHED := OPT='-O1 -g -fno-omit-frame-pointer' HARDEN='-fvisibility=hidden $(SANITIZE)' \
	LDFLAGS='$(SANITIZE)'

.PHONY: check-asan
check-asan:
	$(MAKE) BUILD='$(BUILD)/asan' $(WATCHED) all $(BUILD)/asan/unit $(BUILD)/asan/fuzz-replay
	tests/watched.sh asan '$(BUILD)/asan'

# valgrind wants other code than the sanitizers: the usual one.
.PHONY: check-valgrind
check-valgrind: all $(BUILD)/unit $(BUILD)/fuzz-replay
	tests/watched.sh valgrind '$(BUILD)'

# What of lib/ the unit tests, over both databases, and the inputs of the fuzz
# targets run. Threads count, too, so the counters are atomic.
.PHONY: coverage
coverage:
	$(MAKE) BUILD='$(BUILD)/coverage' OPT='-O0 -g --coverage -fprofile-update=atomic' \
		HARDEN= LDFLAGS=--coverage $(BUILD)/coverage/unit $(BUILD)/coverage/fuzz-replay
	tests/coverage.sh '$(BUILD)/coverage'

# Searches for FUZZ_SECONDS a target; what it found new is kept in
# $(BUILD)/fuzz/corpus. FUZZ_ONLY names the targets, where not all of them.
FUZZ_SECONDS ?= 60
FUZZ_ONLY ?= $(FUZZ_TARGETS)

.PHONY: fuzz fuzz-engines
fuzz:
	$(MAKE) CC=clang BUILD='$(BUILD)/fuzz' OPT="-O1 -g -fno-omit-frame-pointer" \
		HARDEN='$(SANITIZE) -fsanitize=fuzzer-no-link' fuzz-engines
	tests/fuzz/run.sh '$(BUILD)/fuzz' $(FUZZ_SECONDS) $(FUZZ_ONLY)

fuzz-engines: $(foreach t,$(FUZZ_TARGETS),$(BUILD)/fuzz-$(t))

$(BUILD)/fuzz-%: tests/fuzz/fuzz_engine.c $(BUILD)/tests/fuzz/fuzz_%.o \
		$(BUILD)/tests/fuzz/fuzz_common.o $(BUILD)/librensei.a
	$(CC) $(CFLAGS_ALL) $(INC_LIB) -Itests/fuzz -DFUZZ_TARGET=fuzz_$* \
		$(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LDFLAGS) $(LIBS_TOOL)

.PHONY: soak
soak: all
	RENSEI_BUILD='$(abspath $(BUILD))' MINUTES='$(or $(MINUTES),30)' \
		RENSEI_E2E_STORE='$(or $(STORE),sqlite)' tests/soak/soak.py

.PHONY: bench
bench: all
	cd bench && npm ci --no-audit --no-fund || echo "oidc-provider is left out"
	RENSEI_BUILD='$(abspath $(BUILD))' bench/bench.py all \
		$(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: lint
lint: all
	tests/lint.sh '$(filter-out -MMD -MP,$(CFLAGS_ALL)) $(INC_LIB) $(INC_HTTPD)'

.PHONY: format
format:
	clang-format -i $$(git ls-files '*.c' '*.h')

.PHONY: clean
clean:
	rm -rf $(BUILD)

# ---- packages, running, installing: support/ --------------------------------

# What the goals need of Debian comes before anything else. When something was
# installed, packages.mk is touched, and make reads its files again, so that
# apxs and pkg-config count in the variables above.
GOALS := $(or $(MAKECMDGOALS),all)
goal = $(filter $(1),$(GOALS))
ifneq ($(filter-out clean format stop,$(GOALS)),)
include $(BUILD)/packages.mk
$(BUILD)/packages.mk: FORCE
	@sh support/packages.sh $(if $(call goal,run start test soak bench fuzz coverage check-asan check-valgrind packages),--install) \
		--stamp $@ build $(if $(call goal,run start test soak bench packages),run) \
		$(if $(call goal,test soak check-asan check-valgrind coverage),test) \
		$(if $(call goal,check-asan check-valgrind),run) \
		$(if $(call goal,bench),bench) $(if $(call goal,lint),lint) \
		$(if $(call goal,fuzz),fuzz) $(if $(call goal,coverage),coverage) \
		$(if $(call goal,check-valgrind),valgrind)
endif
.PHONY: FORCE packages
FORCE:
packages:

.PHONY: run start stop
run start: all
	@exec env BUILD='$(BUILD)' sh support/run.sh $@
stop:
	@exec sh support/run.sh $@

PREFIX ?= /usr/local
SYSCONFDIR := $(call apxs_q,SYSCONFDIR)

.PHONY: install
install: all
	install -d $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MODULE_SO) $(DESTDIR)$(LIBEXECDIR)
	install -m 755 $(BUILD)/renseictl $(DESTDIR)$(PREFIX)/bin
	sh support/install-conf.sh '$(DESTDIR)' '$(SYSCONFDIR)' '$(LIBEXECDIR)'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
