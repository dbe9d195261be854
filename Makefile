# Two commands do everything on a fresh machine with cargo, git and apt: `make audit` and `make test`.

URL      ?=
REPORT   ?= report
AUDIT    ?=
CARGO    ?= cargo
RELEASE  := target/release

.PHONY: help audit test lint bench serve image build setup

help: ## What can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: ## Installs what every build needs: a C compiler (for LMDB, libgit2 and secp256k1) and git
	@./.ci/setup

build: setup ## Builds both programs, optimised
	$(CARGO) build --release --locked -p grasp-server -p grasp-audit

audit: build ## Starts the bundled server on loopback and audits it; URL=… audits any other server
	@./.ci/audit "$(URL)" "$(REPORT)" $(AUDIT)

test: image ## All tests: rooms, real server, real git, the suite as a gate, crashes, our images, a real browser
	@./.ci/browser
	@# Nothing may be skipped for want of an engine, an image or a browser.
	@# Most tests wait for a server most of the time: two for each processor.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} GRASP_GATE_COMPLETE=1 ./.ci/engine $(CARGO) test --workspace --locked

lint: setup ## Formatting, clippy, documentation and shell scripts without a warning
	@./.ci/setup lint
	shellcheck .ci/* image/rootfs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

bench: setup ## Speed and memory, each beside a baseline measured in the same run
	@# Two builds: in one, the crash points that spec-tests asks for would be in the server that is measured.
	$(CARGO) build --release --locked -p grasp-server
	$(CARGO) build --release --locked -p spec-tests --bin bench
	$(RELEASE)/bench $(BENCH)

image: build ## Builds the images grasp-server and grasp-audit, without any registry
	@./.ci/engine ./.ci/image

serve: build ## Runs the server here, with its data below ./data
	$(RELEASE)/grasp-server
