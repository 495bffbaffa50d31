# What a developer runs. `just` alone lists it.

_default:
    @just --list

# Install everything that development needs into .venv
setup:
    python3 -m venv .venv
    .venv/bin/pip install --quiet --upgrade pip
    .venv/bin/pip install --quiet --group dev --editable .
    . .venv/bin/activate && scripts/install-codex

# Format the code
format:
    .venv/bin/ruff format .
    .venv/bin/ruff check --fix .

# Lint and types
check:
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy

# The tests
test *ARGS:
    .venv/bin/pytest -q -n 2 --dist worksteal {{ARGS}}

# The property tests, long
deep:
    .venv/bin/pytest -q -n 2 --hypothesis-profile=deep tests/property

# The picture of the README, and the figures beside the limits
bench:
    .venv/bin/threadkeep bench --svg docs/cost.svg

# Every proof, long, into a folder: just proof FOLDER [PART ...]
proof *ARGS:
    . .venv/bin/activate && scripts/proof {{ARGS}}

# What CI runs
ci:
    .ci/run
