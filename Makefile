# Two commands on a machine with Python >= 3.11, pip and make: `make atlas` and `make test`.
# Both fill the same .venv; a second run installs nothing again.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help atlas venv test lint docs minimal wheel bench soak vtk li-2018 freeman-bruna freeman-bruna-mnist connect-digits safran-shamir width-law reproductions gallery clean

help:
	@echo "make atlas   draw the landscape of a small digits network into atlas/index.html"
	@echo "make test    run the tests (fills .venv with every extra and the development tools)"
	@echo "make lint    style, types and the import floors"
	@echo "make vtk     VTK itself (installed into build/vtk) reads our .vti and .vtp files back"
	@echo "make li-2018 skips, depth and width of Li et al. 2018 at full size, from DATA= (CIFAR-10) on DEVICE="
	@echo "make freeman-bruna        strings between regressions at the paper's 10,000 rows"
	@echo "make freeman-bruna-mnist  strings between convolutional networks on the digits in DATA="
	@echo "make connect-digits eight ways between two 64-128-128-10 networks on one budget, certified"
	@echo "make safran-shamir  a thousand descents each for 6 to 12 rectified units, with every bad end proved"
	@echo "make width-law   the width's exponent of the tangent kernel from a hundred starts, 1 to 4 hidden layers"
	@echo "make reproductions  every reproduction, or those of NAMES=, with default settings, into docs/reproductions.md"
	@echo "make gallery draw every picture of the gallery at full size into docs/images/gallery: minutes"
	@echo "make docs    build the documentation into build/docs, offline; a warning is an error"
	@echo "make minimal the built wheel in an environment without extras, tested away from the sources"
	@echo "make wheel   the same, then with every extra, then what later Pythons can do without torch"
	@echo "make bench   speeds and memory, medians of one run, into docs/performance.md"
	@echo "make soak    kills, damage, full disks and interrupts, counted into docs/reliability.md"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "thalweg needs Python >= 3.11, $(PYTHON) is $$($(PYTHON) --version); set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.main: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev]'
	@touch $@ .venv/.main

atlas: .venv/.main
	$(BIN)/thalweg atlas digits --out atlas --resume

venv: .venv/.dev

test: venv
	$(BIN)/python -m pytest -n auto

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv
	$(BIN)/python -m sphinx -q -n -W --keep-going -d build/doctrees docs build/docs

minimal:
	PYTHON=$(PYTHON) .ci/wheel minimal

wheel:
	PYTHON=$(PYTHON) .ci/wheel minimal full versions

bench: venv
	$(BIN)/python -m benchmarks --write

soak: venv
	$(BIN)/python -m benchmarks.soak --write

build/vtk/venv/.done:
	$(PYTHON) -m venv build/vtk/venv
	build/vtk/venv/bin/pip install --quiet --disable-pip-version-check pyvista
	@touch $@

vtk: venv build/vtk/venv/.done
	$(BIN)/python -m tests.export.vtk_files write build/vtk/files
	build/vtk/venv/bin/python tests/export/vtk_files.py read build/vtk/files

# Full size, days on a GPU, resumed network by network: make li-2018 DATA=FOLDER (the binary version of CIFAR-10).
DATA ?= data/cifar10
DEVICE ?= cuda
li-2018: .venv/.main
	$(BIN)/thalweg reproduce li_2018 --out build/li-2018 --resume --set dataset=cifar10 --set data=$(DATA) --set rows=null \
	  --set base=1 --set growth=12 --set width=1 --set depth=56 --set 'depths=[20,56,110]' --set steps=117300 \
	  --set batch=128 --set grid=51 --set seeds=5 --set repeats=3 --set sample=2000 --set device=$(DEVICE)

# One level at the authors' 10,000 rows, and their image network; both go on where they were interrupted.
freeman-bruna: .venv/.main
	$(BIN)/thalweg reproduce freeman_bruna --set level=0.05 --set pairs=24 --set rows=10000 --threads 1 \
	  --out build/freeman-bruna --resume

freeman-bruna-mnist: .venv/.main
	$(BIN)/thalweg reproduce freeman_bruna_images --set dataset=mnist --set data=$(DATA) --set test=2000 \
	  --set width=1 --set lr=0.0001 --set pairs=2 --set 'levels=[0.04,0.02,0.01]' --threads 1 --out build/freeman-bruna-mnist --resume

# Eight ways between two 64-128-128-10 networks on one budget, each with its certificate: about ten minutes.
connect-digits: .venv/.main
	$(BIN)/thalweg train digits --set 'hidden=[128,128]' --count 2 --steps 600 --lr 0.003 --out build/n128 --resume
	$(BIN)/thalweg connect digits --set 'hidden=[128,128]' --checkpoint build/n128/final-0.safetensors \
	  --checkpoint build/n128/final-1.safetensors --certify --no-tops --budget 3000 --out build/c128 --resume \
	  --method straight,weight_matching,activation_matching,bezier,polychain,string,autoneb,sparsify_copy_swap

# A thousand descents for every k: minutes; what was done of an interrupted run is kept.
safran-shamir: .venv/.main
	$(BIN)/thalweg reproduce safran_shamir --set 'k=[6,7,8,9,10,11,12]' --set seeds=1000 --threads 1 \
	  --out build/safran-shamir --resume

# Networks of 1 to 4 hidden layers and widths to 4,096, a hundred starts each: long.
width-law: .venv/.main
	$(BIN)/thalweg reproduce jacot_2018 --set 'widths=[256,512,1024,2048,4096]' --set seeds=100 \
	  --set 'trained=[16,32,64]' --set steps=10 --threads 1 --out build/width-law --resume

# Every reproduction in turn, each under three minutes of one processor, and the page of what they found.
reproductions: venv
	for name in $(or $(NAMES),$$($(BIN)/python -c 'from thalweg.reproductions import REPRODUCTIONS; print(*sorted(REPRODUCTIONS))')); do \
	  $(BIN)/thalweg reproduce $$name --threads 1 --out build/reproductions/$$name --resume || exit 1; done
	$(BIN)/python -m thalweg.reproductions.page docs/reproductions.md build/reproductions/*/

# Every picture of the gallery, light and dark.
gallery: venv
	OMP_NUM_THREADS=1 $(BIN)/python examples/gallery --out docs/images/gallery

clean:
	rm -rf .venv atlas dist build
