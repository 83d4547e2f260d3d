# Both work on a bare Debian machine with Python 3.11: they install what they need first.
#   make demo   run the example shop's browser tests on two workers and see what comes out
#   make test   lint, types, layers, and all tests with coverage
# For the working day:
#   make lint   the checks without the tests

BIN := .venv/bin
PURE := pytest_sentinel/errors.py,pytest_sentinel/units.py,pytest_sentinel/settings.py,pytest_sentinel/pool/states.py,pytest_sentinel/pool/ledger.py,pytest_sentinel/pool/breaker.py,pytest_sentinel/pool/actions.py,pytest_sentinel/pool/leases.py,pytest_sentinel/pool/options.py,pytest_sentinel/pool/places.py,pytest_sentinel/pool/refusals.py,pytest_sentinel/pool/sightings.py,pytest_sentinel/pool/snapshot.py,pytest_sentinel/pool/supply.py,pytest_sentinel/pool/tickets.py,pytest_sentinel/pool/wear.py,pytest_sentinel/pool/browserlog.py,pytest_sentinel/telemetry/record.py,pytest_sentinel/telemetry/relay.py,pytest_sentinel/telemetry/digest.py,pytest_sentinel/telemetry/catalogue.py,pytest_sentinel/telemetry/samples.py,pytest_sentinel/telemetry/measures.py,pytest_sentinel/telemetry/branches.py,pytest_sentinel/telemetry/scrub.py,pytest_sentinel/gatereport.py,pytest_sentinel/gates.py,pytest_sentinel/memory/admission.py,pytest_sentinel/memory/limits.py,pytest_sentinel/leaks/growth.py,pytest_sentinel/leaks/suspicion.py,pytest_sentinel/leaks/verdict.py,pytest_sentinel/leaks/heap*.py,pytest_sentinel/leaks/retain*.py

.PHONY: demo test lint setup

setup:
	@.ci/setup

demo: setup
	$(BIN)/python -m pytest tests/e2e -n 2
	@echo; echo 'Does the kitchen of the shop keep anything of a recipe that was opened and closed?'
	$(BIN)/python -m pytest tests/demo -q
	@echo; echo 'The same with a leak planted in its JavaScript:'
	@LARDER_FAULTS=leak:kitchen $(BIN)/python -m pytest tests/demo --tb=short; \
	  test $$? = 1 && echo 'demo: found and named, as it should be'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/coverage erase
	@# Many of these tests kill browsers against the clock. On a machine that is busy with other
	@# things one may lose: what failed gets one more try, alone, and has to pass then.
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile --sentinel-record=off \
	  || $(BIN)/coverage run -m pytest --last-failed --last-failed-no-failures=none --sentinel-record=off
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='$(PURE)'
