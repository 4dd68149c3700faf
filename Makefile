# The commands of the house. `make` or `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run dev dev-debug test test-fast test-servers worlds exactness fault-test fault-check soak-check races test-browser test-interop demo format format-check lint imports type-check \
	type-check-strict type-coverage compliance check ci install install-dev lock clean db-seed db-seed-oauth2 create-client \
	rotate-client-secret db-reset queue-work \
	queue-stats queue-failed queue-retry-failed queue-forget queue-flush queue-clear queue-monitor queue-pause queue-resume \
	queue-work-emails queue-work-notifications queue-dashboard queue-top queue-completion terminal-screens queue-health queue-metrics queue-restart queue-prune queue-schedule queue-relay queue-example queue-advanced-example make-job bench bench-soak screenshots

python := .venv/bin/python
manage := $(python) manage.py
races := tests/accounts/test_races.py tests/accounts/test_rotation.py tests/oauth/test_races.py \
	tests/oauth/test_consent_races.py tests/oauth/test_devices.py
# Words after the target's own, such as `make queue-work ARGS="--queue emails"`.
ARGS ?=

## -- Run --
run: ## Start everything: environment, database, first data, web server and worker
	@sh scripts/setup base && exec $(manage) run $(ARGS)
dev: ## Start everything and restart it when the code changes
	@sh scripts/setup dev && exec $(manage) run --reload $(ARGS)
dev-debug: ## The same with Django's debug pages and debug logs
	@sh scripts/setup dev && DEBUG=1 LOG_LEVEL=DEBUG exec $(manage) run --reload $(ARGS)
demo: ## Walk the main job over real HTTP, against BASE_URL or a server of its own
	@sh scripts/setup base && exec $(manage) demo $(ARGS)

## -- Check --
test: ## Run the whole suite: embedded stores, real servers, browser
	@sh scripts/setup dev
	$(python) -m pytest -n 3 --dist loadgroup --ignore=tests/faults/test_faults.py $(ARGS)
	$(python) -m pytest -n 3 --dist loadgroup --stores=servers -m "not browser and not house" $(ARGS)
test-fast: ## Run the part of the suite that needs neither browser nor servers nor processes nor patience
	@sh scripts/setup dev
	$(python) -m pytest -n 2 -m "not browser and not process and not http and not exhaustive" $(ARGS)
test-servers: ## Run the suite against real PostgreSQL and Valkey
	@sh scripts/setup dev
	$(python) -m pytest -n 3 --dist loadgroup --stores=servers -m "not browser and not house" $(ARGS)
worlds: ## Compare 10,000 random worlds of rights with the oracle, on SQLite and on PostgreSQL
	@sh scripts/setup dev
	WORLD_BATCHES=100 $(python) -m pytest -n 2 tests/permissions/oracle/test_oracle.py $(ARGS)
	WORLD_BATCHES=100 $(python) -m pytest -n 2 --stores=servers tests/permissions/oracle/test_oracle.py $(ARGS)
exactness: ## Count 100 batches of 50 jobs under eight workers, and 20 keys of 200 jobs each, on every connection
	@sh scripts/setup dev
	EXACTNESS_BATCHES=100 OVERLAP_TIMES=200 $(python) -m pytest tests/jobs/test_exactness.py tests/jobs/test_limits_concurrency.py $(ARGS)
	EXACTNESS_BATCHES=100 OVERLAP_TIMES=200 $(python) -m pytest --stores=servers tests/jobs/test_exactness.py tests/jobs/test_limits_concurrency.py $(ARGS)
fault-test: ## Kill, stop and cut off workers and stores under load, ten minutes on each store; ARGS="--store redis --seconds 60"
	@sh scripts/setup dev
	$(python) -m tests.faults $(ARGS)
fault-check: ## The same for half a minute on each store, some kills, and the engine without its safeguards, in three minutes
	@sh scripts/setup dev
	$(python) -m pytest -n 2 --dist worksteal tests/faults/test_faults.py $(ARGS)
soak-check: ## Hold a steady load of jobs on Redis for two minutes: nothing lost, left or grown; bench-soak takes an hour
	@sh scripts/setup dev
	$(python) -m benchmarks soak --minutes 2 --no-results $(ARGS)
races: ## Let 16 clients race for a refresh, a code, a device, a consent, a reset, a verification and a change of address, 50 times each, on both stores
	@sh scripts/setup dev
	RACE_ROUNDS=50 $(python) -m pytest $(races) $(ARGS)
	RACE_ROUNDS=50 $(python) -m pytest --stores=servers $(races) $(ARGS)
test-browser: ## Run the browser tests
	@sh scripts/setup dev
	$(python) -m pytest -m browser $(ARGS)
test-interop: ## Run OAuth clients of others, for Node, Python, Apache and browsers, against a live house
	@sh scripts/setup dev
	$(python) -m pytest tests/interop $(ARGS)
terminal-screens: ## Write anew what the tests expect the pages of the terminal to show
	@sh scripts/setup dev
	RENEW_SCREENS=1 $(python) -m pytest --stores=servers tests/jobs/terminal $(ARGS)
format: ## Format the code
	@sh scripts/setup dev
	$(python) -m ruff check --quiet --select I --fix . && $(python) -m ruff format .
format-check: ## Say whether the code is formatted
	@sh scripts/setup dev
	$(python) -m ruff format --check .
lint: ## Look for mistakes
	@sh scripts/setup dev
	$(python) -m ruff check .
imports: ## Hold the imports against the layers of docs/layout.md
	@sh scripts/setup dev
	.venv/bin/lint-imports
type-check: ## Check the types of the product
	@sh scripts/setup dev
	$(python) -m mypy project accounts oauth permissions jobs
type-check-strict: ## Check the types of everything, tests and benchmarks too, with --strict
	@sh scripts/setup dev
	$(python) -m mypy --strict .
type-coverage: ## Write a report of how much is typed to var/type-coverage/index.html
	@sh scripts/setup dev
	$(python) -m mypy --strict --html-report var/type-coverage --any-exprs-report var/type-coverage .
	@echo "Open var/type-coverage/index.html; any-exprs.txt beside it counts what is Any."
compliance: ## Write docs/compliance.md from the tags of the tests
	@sh scripts/setup dev
	$(python) -m pytest tests --collect-only -q --compliance=docs/compliance.md >/dev/null && echo "Wrote docs/compliance.md."
check: ## Check settings for production, migrations, schema, .env.example
	@sh scripts/setup dev
	@sh scripts/check
ci: ## Everything that must pass, as the build server runs it
	@sh scripts/setup dev
	@sh scripts/install-browser
	$(MAKE) format-check lint imports type-check-strict check
	REQUIRE_BROWSER=1 $(MAKE) test
	$(MAKE) fault-check
	$(MAKE) soak-check

## -- Install --
install: ## Make the environment for running
	@sh scripts/setup base
install-dev: ## Make the environment for developing, with the Git hooks
	@sh scripts/setup dev
	@if [ -d .git ]; then .venv/bin/pre-commit install --hook-type pre-commit --hook-type commit-msg; fi
lock: ## Resolve pyproject.toml anew into requirements/*.lock (needs uv)
	sh scripts/lock
clean: ## Remove the environment and caches; data in var/ stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path "./var/*" -prune -exec rm -rf {} +

## -- Data --
db-seed: ## Make the roles, users and clients of the first minute; changes nothing that is there
	@sh scripts/setup base && $(manage) db_seed $(ARGS)
db-seed-oauth2: ## Make the two OAuth clients of the first minute
	@sh scripts/setup base && $(manage) db_seed_oauth2 $(ARGS)
create-client: ## Make an OAuth client: ARGS='"Shop" --redirect-uri https://shop.example/callback --scope profile'
	@sh scripts/setup base && $(manage) create_client $(ARGS)
rotate-client-secret: ## Give an OAuth client another secret: ARGS="CLIENT_ID --overlap HOURS"
	@sh scripts/setup base && $(manage) rotate_client_secret $(ARGS)
db-reset: ## Delete all data and seed anew; asks first
	@sh scripts/setup base && $(manage) db_reset $(ARGS)

## -- Jobs --
queue-work: ## Run one more worker
	@sh scripts/setup base && exec $(manage) queue_work $(ARGS)
queue-work-emails: ## Run one more worker, for the queue emails alone
	@sh scripts/setup base && exec $(manage) queue_work_emails $(ARGS)
queue-work-notifications: ## Run one more worker, for the queue notifications alone
	@sh scripts/setup base && exec $(manage) queue_work_notifications $(ARGS)
queue-health: ## Say whether jobs get done, why not, and what to do; ends with 1 or 2 where they don't
	@sh scripts/setup base && $(manage) queue_health $(ARGS)
queue-metrics: ## Show throughput, failures and times: ARGS="--since 24h --by class"
	@sh scripts/setup base && $(manage) queue_metrics $(ARGS)
queue-dashboard: ## Watch queues, workers and failed jobs, pause queues, retry jobs; ? tells the keys
	@sh scripts/setup base && exec $(manage) queue_dashboard $(ARGS)
queue-top: ## Watch worker processes: memory, processor time, the job in hand
	@sh scripts/setup base && exec $(manage) queue_top $(ARGS)
queue-completion: ## Print a script by which a shell completes the commands of jobs: ARGS=bash, zsh or fish
	@sh scripts/setup base && $(manage) queue_completion $(or $(ARGS),bash)
queue-stats: ## Show the queues
	@sh scripts/setup base && $(manage) queue_stats $(ARGS)
queue-failed: ## List the failed jobs
	@sh scripts/setup base && $(manage) queue_failed $(ARGS)
queue-retry-failed: ## Retry failed jobs: all, or ARGS="ID ...", ARGS="--class NAME --since 1h --exception TEXT"
	@sh scripts/setup base && $(manage) queue_retry_failed $(if $(ARGS),$(ARGS),--all)
queue-forget: ## Delete failed jobs: ARGS="ID ..." or ARGS="--class NAME --since 1h"; then it asks first
	@sh scripts/setup base && $(manage) queue_forget $(ARGS)
queue-flush: ## Delete all failed jobs; asks first
	@sh scripts/setup base && $(manage) queue_flush $(ARGS)
queue-monitor: ## Say which queues are too long: ARGS="--max N NAME ..."
	@sh scripts/setup base && $(manage) queue_monitor $(ARGS)
queue-pause: ## Let queues rest: ARGS="NAME" or ARGS=--all
	@sh scripts/setup base && $(manage) queue_pause $(ARGS)
queue-resume: ## Let queues go on: ARGS="NAME" or ARGS=--all
	@sh scripts/setup base && $(manage) queue_resume $(ARGS)
queue-restart: ## Let every worker end after its job, to be started anew
	@sh scripts/setup base && $(manage) queue_restart $(ARGS)
queue-prune: ## Delete old failed jobs and batches
	@sh scripts/setup base && $(manage) queue_prune $(ARGS)
queue-schedule: ## Dispatch what is due by the clock; workers do so too. ARGS=--list shows the entries
	@sh scripts/setup base && $(manage) queue_schedule $(ARGS)
queue-relay: ## Send what waits in the outbox; workers do so too. ARGS=--once ends then
	@sh scripts/setup base && $(manage) queue_relay $(ARGS)
queue-example: ## Dispatch a small story of jobs
	@sh scripts/setup base && $(manage) queue_example $(ARGS)
queue-advanced-example: ## Dispatch a large story: batches, chains, limits, failures
	@sh scripts/setup base && $(manage) queue_advanced_example $(ARGS)
make-job: ## Write a job and its test: ARGS="APP.ClassName"
	@sh scripts/setup base && $(manage) make_job $(ARGS)
queue-clear: ## Delete the waiting jobs; asks first
	@sh scripts/setup base && $(manage) queue_clear $(ARGS)

screenshots: ## Take the pictures of the README anew, with the large story of jobs
	@sh scripts/setup dev
	$(python) scripts/screenshots

## -- Measure --
bench: ## Measure; ARGS=NAME for one benchmark
	@sh scripts/setup bench && $(python) -m benchmarks $(ARGS)
bench-soak: ## Hold a steady load of jobs for an hour and keep what was found; ARGS="--minutes 60 --store redis"
	@sh scripts/setup dev
	$(python) -m benchmarks soak $(ARGS)
bench-%: ## Run one benchmark, such as bench-jobs ARGS="--rounds 5 --large"
	@sh scripts/setup bench && $(python) -m benchmarks $* $(ARGS)

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^## -- / {gsub(/^## -- | --$$/, ""); printf "\n%s\n", $$0} \
		/^[a-z][a-zA-Z0-9%-]*:.*## / {printf "  %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
