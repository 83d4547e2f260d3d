# Both work on a bare Debian machine with Python 3.11: they install what they need first.
#   make demo   run the example shop's browser tests on two workers and see what comes out
#   make test   lint, types, layers, and all tests with coverage
# For the working day:
#   make lint   the checks without the tests

BIN := .venv/bin
# Rooms that only decide: tests cover all of them, every branch.
PURE := addresses.py \
  comparereport.py \
  comparing.py \
  errors.py \
  gatereport.py \
  gates.py \
  load/outcome.py \
  load/runrecord.py \
  leaks/conclusion.py \
  leaks/growth.py \
  leaks/heap*.py \
  leaks/marks.py \
  leaks/retain*.py \
  leaks/plan.py \
  leaks/runaway.py \
  leaks/suspicion.py \
  leaks/verdict.py \
  memory/admission.py \
  memory/limits.py \
  pool/actions.py \
  pool/breaker.py \
  pool/browserlog.py \
  pool/callers.py \
  pool/deaths.py \
  pool/distribution.py \
  pool/frames.py \
  pool/health.py \
  pool/leases.py \
  pool/ledger.py \
  pool/options.py \
  pool/patience.py \
  pool/places.py \
  pool/refusals.py \
  pool/register.py \
  pool/servesettings.py \
  pool/sightings.py \
  pool/snapshot.py \
  pool/states.py \
  pool/supply.py \
  pool/tickets.py \
  pool/turns.py \
  pool/upgrade.py \
  pool/wear.py \
  settings.py \
  telemetry/branches.py \
  telemetry/catalogue.py \
  telemetry/digest.py \
  telemetry/measures.py \
  telemetry/outcomes.py \
  telemetry/record.py \
  telemetry/relay.py \
  telemetry/samples.py \
  telemetry/scrub.py \
  telemetry/unfinished.py \
  telemetry/use.py \
  telemetry/zeros.py \
  units.py

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
	@echo; echo 'The same tests on browsers that a service holds:'
	@tests/demo/on-a-service

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Most tests start interpreters, which would compile the package anew each time: where the
# environment says that no bytecode is written, that is an eighth of what a run of pytest costs.
test: export PYTHONDONTWRITEBYTECODE =
test: lint
	$(BIN)/coverage erase
	@# Many of these tests kill browsers against the clock. On a machine that is busy with other
	@# things one may lose: what failed gets one more try, alone, and has to pass then.
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder --sentinel-record=off \
	  || $(BIN)/coverage run -m pytest --last-failed --last-failed-no-failures=none --sentinel-record=off
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='$(shell echo $(PURE:%=pytest_sentinel/%) | tr ' ' ,)'
