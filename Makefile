# Berth's front door. The build itself is meson's (meson.build); this is the menu.
#
#   make               build build/berth and build/berth-sim (installs nothing)
#   make run           install what is missing, build, serve a 1 GiB RAM disk until Ctrl-C
#   make run ARGS="disk.img,size=10G"    serve that instead (any arguments of `berth serve`)
#   make check-quick   the unit tests, under a minute
#   make test          install what is missing, then the test matrix (HACKING.md), within 15 minutes
#   make test-all      every combination; before an issue is resolved
#   make fuzz          fuzz every door for a while (SECONDS_EACH=30)
#   make bench         CPU a command, against tgt and the bare limit (BENCH_QUICK=1: in 2 minutes)
#   make bench-writeback                 CPU of a file that is written back, against RAM and fio (DIR=.: where)
#   make bench-compare BASE=COMMIT       instructions and CPU a command, against an older commit
#   make format        clang-format on all C files (headers are laid out by hand)
#   make deps          install what `make` and `make test` need
#   make install       the program, the client library and the manual to PREFIX (/usr/local), under DESTDIR
#   make clean         remove all that was built

PREFIX ?= /usr/local
ARGS ?= --ram 1G
SECONDS_EACH ?= 30
# Across the rooms' libraries the compiler saves a sixth of a command's instructions; clang would need a plug-in of
# the linker's for it.
LTO ?= $(if $(findstring clang,$(CC)),false,true)

.PHONY: all help deps run check-quick test test-all fuzz bench bench-writeback bench-compare format install clean

all: build/berth build/berth-sim

# ninja knows what is out of date; the files' names are here only so that `make build/berth` works.
.PHONY: build/berth build/berth-sim
build/berth build/berth-sim:
	@scripts/deps check run
	@scripts/setup build -Dtests=auto -Db_ndebug=true -Doptimization=3 -Db_lto=$(LTO)
	@ninja --quiet -C build $(notdir $@)

help:
	@sed -n 's/^#   //p' Makefile

deps:
	@scripts/deps install test

run:
	@scripts/deps install run
	@$(MAKE) --no-print-directory build/berth
	@exec scripts/run build/berth $(ARGS)

check-quick:
	@scripts/deps install test
	@scripts/matrix quick

test:
	@scripts/deps install test
	@scripts/matrix test

test-all:
	@scripts/deps install test
	@scripts/matrix all

fuzz:
	@scripts/deps install test
	@scripts/fuzz $(SECONDS_EACH)

bench:
	@scripts/deps install bench
	@$(MAKE) --no-print-directory build/berth
	@ninja --quiet -C build bench/drive bench/limit
	@scripts/bench build

bench-writeback:
	@scripts/deps install bench
	@$(MAKE) --no-print-directory build/berth
	@ninja --quiet -C build bench/drive
	@scripts/bench-writeback build

bench-compare:
	@scripts/deps install bench
	@$(MAKE) --no-print-directory build/berth
	@ninja --quiet -C build bench/drive
	@scripts/bench-compare "$(BASE)" build

format:
	@scripts/deps install develop
	@git ls-files -z -- '*.c' | xargs -0 clang-format -i

install: build/berth
	@meson configure build --prefix "$(PREFIX)"
	@ninja --quiet -C build installed
	@DESTDIR="$(DESTDIR)" meson install -C build --no-rebuild
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

clean:
	rm -rf build build-*
