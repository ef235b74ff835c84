# One verb, one script in scripts/; CI calls the same.
.DEFAULT_GOAL := help
.PHONY: bench check clean demo fuzz help models soak test test-clients test-clusters test-faults test-formats test-slow wheel

demo: ## Train a model, serve it, ask it with real clients  (KEEP=1 leaves the server running)
	@scripts/demo

test: ## Run the base tests, 12 minutes at most  (ARGS="-k json -x" goes to pytest)
	@scripts/test $(ARGS)

test-formats: ## Run the tests that need a model format's own packages
	@scripts/test-group formats $(ARGS)

test-clusters: ## Run the tests that need brokers, Spark, Ray or several processes
	@scripts/test-group clusters $(ARGS)

test-faults: ## Run the tests that kill, stall or overload a server
	@scripts/test-group faults $(ARGS)

test-clients: ## Run the tests that ask with the real clients of other servers
	@scripts/test-clients $(ARGS)

test-slow: ## Run the tests that take long and need nothing else
	@scripts/test-group slow $(ARGS)

check: ## Check formatting, lint, types, the import rules and that the versions agree
	@scripts/check

wheel: ## Build the wheel and test it without src/  (SMOKE=1: only start it and ask it)
	@scripts/wheel $(ARGS)

bench: ## Measure against a bare server and a FastAPI app; ARGS=--peers: against other servers; ARGS=--help: more
	@scripts/bench $(ARGS)

models: ## Write docs/models.md: what is compiled, how far it is apart, how much faster it is
	@scripts/models $(ARGS)

fuzz: ## Send a million made-up requests to a running server  (ARGS goes to the fuzzer)
	@scripts/fuzz $(ARGS)

soak: ## Keep a server under load for 15 minutes while it is changed and killed  (HOURS=1: longer)
	@scripts/soak $(ARGS)

clean: ## Remove environments, caches and what was built
	@scripts/clean

help: ## Show this
	@scripts/help
