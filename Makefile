# Everything a developer runs. `make` alone says what there is.
SHELL := /bin/bash
BIN   := .bin
GO    ?= go
# Data, and address, of `make run`.
DATA  ?= scribe-data
S3DATA ?= scribe-s3
FUZZTIME ?= 60s
SEEDS ?= 2000
OPS ?= 10000

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

.PHONY: build
build: ## build scribe-node and scribe into .bin
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/ ./cmd/...

.PHONY: run
run: build ## build and run a one-node ledger on 127.0.0.1:8001
	@exec $(BIN)/scribe-node --data-dir $(DATA)

.PHONY: cluster
cluster: build ## build and run three local nodes on 127.0.0.1:8001 to 8003
	@exec $(BIN)/scribe-cluster --node $(BIN)/scribe-node --data $(DATA)

.PHONY: demo
demo: build ## store, kill, restart, seal, read back and prove a real tree of files
	$(BIN)/scribe-demo --node $(BIN)/scribe-node --tree "$$($(GO) env GOROOT)/src"

.PHONY: demo-s3
demo-s3: build $(BIN)/versitygw ## the demo through an S3 server: tier, delete all local segments, read all back from S3, prove
	@SCRIBE_TIER_POLICY_MIN_AGE=0 SCRIBE_TIER_POLICY_FETCH_READS=0 $(GO) run ./tier/s3test/run -data '' -port 0 -- \
	  $(BIN)/scribe-demo --cold --node $(BIN)/scribe-node --tree "$$($(GO) env GOROOT)/src"

.PHONY: s3
s3: $(BIN)/versitygw ## run an S3 server with buckets on 127.0.0.1:7070, data in S3DATA (scribe-s3), until Ctrl-C
	@$(GO) run ./tier/s3test/run -data $(S3DATA)

.PHONY: test
test: $(BIN)/versitygw ## all tests
	$(GO) test -timeout 20m ./...

.PHONY: test-minio
test-minio: $(BIN)/minio ## the tests of the S3 store once more, against MinIO (the first time it is built: minutes)
	$(GO) test ./tier/s3store -count 1 -timeout 20m -args -s3 minio

$(BIN)/minio: tools/minio/go.mod
	@mkdir -p $(BIN)
	$(GO) build -C tools/minio -o ../../$(BIN)/minio github.com/minio/minio
	@touch $@

.PHONY: race
race: $(BIN)/versitygw ## all tests under the race detector
	$(GO) test -race -timeout 40m ./...

.PHONY: e2e
e2e: ## the end-to-end tests in full: 30 leaders killed, 100,000 operations under faults, 1 GiB to catch up
	@mkdir -p $(BIN)
	$(GO) test ./e2e -v -timeout 60m -artifacts -outputdir $(BIN) -kills 30 -operations 100000 -catchup 1024

.PHONY: sim
sim: ## SEEDS (2000) simulated clusters under faults, 100 s each, and 10,000 checks of every property of raft
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/scribe-sim ./sim/run
	$(BIN)/scribe-sim -seeds $(SEEDS)
	$(GO) test ./raft -run TestProperty -rapid.checks=10000 -timeout 30m

.PHONY: metamorphic
metamorphic: ## OPS (10000) random operations on ledgers set up in different ways, every answer compared
	$(GO) test ./sim -run '^TestMetamorphic$$' -v -timeout 60m -args -metamorphic.ops $(OPS)

.PHONY: mutants
mutants: ## plant the bugs of sim/mutations one at a time: the simulator or a test must notice each
	$(GO) run ./sim/mutations/run

.PHONY: check
check: format vet staticcheck race ## what a change must pass: format, vet, staticcheck, floors, race tests

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	  if [ -n "$$out" ]; then echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; fi

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: staticcheck
staticcheck: $(BIN)/staticcheck
	$(BIN)/staticcheck ./...

$(BIN)/staticcheck: tools/go.mod
	@mkdir -p $(BIN)
	$(GO) build -C tools -o ../$(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck

$(BIN)/versitygw: tools/go.mod # what the tests run S3 against; they build it themselves when it is not there
	@mkdir -p $(BIN)
	$(GO) build -C tools -o ../$(BIN)/versitygw github.com/versity/versitygw/cmd/versitygw
	@touch $@

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg; \
	  done; done

.PHONY: bench
bench: ## all Go benchmarks; see docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: load
load: build ## HTTP load against the node and a bare handler, side by side (needs wrk)
	$(GO) run ./bench/load --node $(BIN)/scribe-node

.PHONY: cover
cover: ## test coverage by package
	$(GO) test -coverprofile=cover.out ./... && $(GO) tool cover -func=cover.out | tail -1

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) cover.out
