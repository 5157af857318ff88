PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= configs/starter.yaml
TEXT ?= 저는 내일 친구하고 시장에 갈 거예요.
SENTENCES := "제 여동생은 어제 도서관에서 책을 두 권 빌렸어요." "비가 오면 우리는 집에서 영화를 볼 거예요." \
	"내일 같이 영화를 볼까요?" "안녕하세요? 저는 학생이에요."

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-gpu bench-gpu check format results-check train eval translate clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

install: .venv/installed  ## Create .venv and install kotrans with its tools into it

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "kotrans needs Python 3.11.4 or later; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[parquet,serve,tensorboard]'
	@touch $@

demo: install  ## Train on the starter corpus, score, and translate a few sentences (5 minutes at most on 2 cores)
	$(BIN)/kotrans train -c configs/starter.yaml
	@echo; echo 'Sentences that are in no split:'
	@for text in $(SENTENCES); do printf '    %s\n    → ' "$$text"; $(BIN)/kotrans translate "$$text" 2>/dev/null; done
	@echo 'One of your own: make translate TEXT="…"'

test: install  ## Run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-fast: install  ## Run the tests that start no processes and train no runs (a minute)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -p no:schemathesis -m "not slow and not e2e"

# Warnings do not fail the tests here: libraries give others on a GPU.
test-gpu: install  ## On a machine with a GPU: compare it with the CPU, kill and resume, then bench-gpu (10 minutes)
	@$(BIN)/python -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "make test-gpu: no GPU for PyTorch here")'
	$(BIN)/python -m pytest -n 0 -m gpu -W default -rP tests/gpu
	$(MAKE) bench-gpu

bench-gpu: install  ## Measure training and translation of the larger configs on a GPU, into build/gpu (4 minutes)
	$(BIN)/python tests/gpu/measure.py

check: install  ## Check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

results-check: install  ## Repeat the cheap figures of docs/results.md and compare (an hour on one core)
	OMP_NUM_THREADS=1 $(BIN)/python tests/check_results.py

format: install  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: install  ## Train a config: make train CONFIG=configs/open-ko-en.yaml
	$(BIN)/kotrans train -c $(CONFIG)

eval: install  ## Score the most recently finished run on its test split
	$(BIN)/kotrans eval

translate: install  ## Translate with the most recently finished run: make translate TEXT="…"
	@$(BIN)/kotrans translate "$(TEXT)"

clean:  ## Remove the environment and caches; runs and fetched corpora stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist kotrans.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
