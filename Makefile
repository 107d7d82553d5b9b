# make test is the whole of it: it sets up what it needs, as root on Debian or Ubuntu.

GO       ?= go
FUZZTIME ?= 3s
LINT      = $(GO) tool -modfile=tools/go.mod golangci-lint
# The packages whose tests do not fork by raw system calls, which the race detector does not survive.
RACE      = ./ref/... ./oci/... ./dockerfile/... ./guard/... ./registry/... ./internal/store/... ./internal/ui/... ./internal/build/... ./internal/imagesource/...

export CGO_ENABLED = 0

.PHONY: all build test unit race fuzz lint fmt vet cross bench deps clean

all: build

build: ## the programs, into bin/
	$(GO) build -trimpath -o bin/ ./cmd/...

test: deps unit race fuzz ## everything, strict: a test that cannot run fails
	hack/reset-network

deps:
	hack/install-deps test
	hack/make-base small
	hack/make-base accounts
	hack/make-base debian

unit: ## unit, integration and transcript tests
	DECKHAND_TEST_STRICT=1 $(GO) test -count=1 -timeout 15m ./...

race:
	CGO_ENABLED=1 $(GO) test -count=1 -race -timeout 10m $(RACE)

fuzz: ## every fuzz target for FUZZTIME
	hack/fuzz $(FUZZTIME)

lint:
	$(LINT) run ./...

fmt:
	$(LINT) fmt ./...

vet:
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...

cross: ## the programs and all tests compile for the architectures we know
	for arch in amd64 arm64; do \
	  GOARCH=$$arch $(GO) build -o /dev/null ./... || exit 1; \
	done

bench: ## ratios against other engines, into bench/RESULTS.md
	hack/install-deps bench
	$(GO) run ./bench

clean:
	rm -rf bin
