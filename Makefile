# One command per intention; `make help` lists them. Every environment is made on first use and left alone afterwards.

PORT ?= 8000
HOST ?= 127.0.0.1
# What `make serve` installs: for a GPU where an NVIDIA driver is loaded, for a CPU elsewhere. RUNTIME=cpu, RUNTIME=gpu or
# RUNTIME=openvino decides; the last serves on a CPU with OpenVINO.
RUNTIME ?= $(if $(wildcard /proc/driver/nvidia/version),gpu,cpu)
# The first interpreter that is one of Python 3.11 to 3.13 and brings venv.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)

MINUTES ?= 5
SEED ?= 0

DATASET ?= data/dsb2018
# Prepared data sets that `make evaluate` scores the bundles on: BUNDLE=FOLDER for each that is there.
DATA ?= $(foreach pair,nuclei=$(DATASET) cells=data/cells blood=data/blood,$(if $(wildcard $(lastword $(subst =, ,$(pair)))/dataset.json),$(pair)))
RUN ?= runs/nuclei
BUNDLE ?= service/monolayer_service/bundles/nuclei

DEV := .venv
SERVE := .venv-serve-$(RUNTIME)
CLIENTS := .venv-clients
FUZZ := .venv-fuzz
GPU := .venv-gpu
PROJECTS := pyproject.toml $(wildcard */pyproject.toml)
PIP_INSTALL = python -m pip install --disable-pip-version-check --quiet

# Whatever a recipe starts reports nothing to the makers of the runtime, also what imports it before our own packages.
export ORT_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help serve test test-fuzz test-faults test-deploy test-clients client-programs format lint types imports pytest test-gpu bench bench-gpu bench-peers overload soak train export evaluate docs pictures site lock image-lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(SERVE)/ready ## start the service with its models on http://127.0.0.1:8000 (PORT=, HOST=, RUNTIME=cpu|gpu|openvino)
	$(if $(filter openvino,$(RUNTIME)),MONOLAYER_CPU_RUNTIME=openvino )$(SERVE)/bin/monolayer-serve --host $(HOST) --port $(PORT)

test: lint image-lint types imports pytest ## environment and every check and test

lint: $(DEV)/ready ## style and common mistakes
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .

format: $(DEV)/ready ## rewrite the code in the house style
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

types: $(DEV)/ready ## strict type check of the five packages
	$(DEV)/bin/mypy

imports: $(DEV)/ready ## who may import whom
	$(DEV)/bin/lint-imports

pytest: $(DEV)/ready ## the tests alone (ARGS='-k rle' narrows them)
	$(DEV)/bin/python -m pytest $(ARGS)

test-deploy: $(DEV)/ready ## three replicas behind nginx and HAProxy, one killed and one stopped under load (COUNT= requests)
	MONOLAYER_DEPLOY_REQUESTS=$(or $(COUNT),2000) $(DEV)/bin/python -m pytest tests/deploy -rs $(ARGS)

test-faults: $(DEV)/ready ## inject faults into the service and print what it did
	$(DEV)/bin/python -m pytest -q --no-header -m fault -p tests.fault_table

test-gpu: $(GPU)/ready ## what only an NVIDIA GPU can show, in about a minute (HALF= a bundle with float16)
	$(if $(HALF),MONOLAYER_TEST_HALF=$(abspath $(HALF)) )$(GPU)/bin/python -m pytest tests/gpu $(ARGS)

test-fuzz: $(DEV)/ready ## hostile files and requests for MINUTES=5, other ones with SEED=; a table of what came of them
	$(DEV)/bin/python -m pytest tests/fuzz tests/core/test_image_io_hostile.py $(ARGS)
	$(DEV)/bin/python -m tests.fuzz.campaign --minutes $(MINUTES) --seed $(SEED)
	@if $(MAKE) --no-print-directory $(FUZZ)/ready; then for target in images tables; do \
		$(FUZZ)/bin/python -m tests.fuzz.coverage_guided $$target --seconds $$(( $(MINUTES) * 30 )) || exit 1; done; \
	else echo "SKIPPED the coverage-guided part: atheris is not installed, see pip's message above (it has wheels for Linux on x86-64)"; fi

test-clients: client-programs $(CLIENTS)/ready ## all that faces users: clients, page, guide, forms of images and answers (CONTRIBUTING.md)
	$(CLIENTS)/bin/python -m pytest -rs -m clients $(ARGS)

client-programs: ## browser, ImageJ, BeanShell and JDK for test-clients, as root with apt-get; says what cannot be had
	.ci/client-programs

bench: $(DEV)/ready ## the service against its targets on this machine, in about five minutes
	$(DEV)/bin/python -m benchmarks.service --output benchmarks/results

bench-gpu: $(GPU)/ready ## the service and its network on an NVIDIA GPU, in about two minutes (HALF= a bundle with float16)
	$(GPU)/bin/python -m benchmarks.gpu --output benchmarks/results $(if $(HALF),--float16-bundle $(HALF))

bench-peers: $(DEV)/ready ## the service beside other servers, OpenVINO and other ways of single steps
	$(DEV)/bin/python -m benchmarks.peers --output benchmarks/results

overload: $(DEV)/ready ## the service at four times what it can do, beside a submission, in about ten minutes
	$(DEV)/bin/python -m benchmarks.overload --output benchmarks/results

soak: $(DEV)/ready ## requests of every kind at one service: does anything grow? (COUNT= requests, 20000 take an hour)
	$(DEV)/bin/python -m benchmarks.soak --count $(or $(COUNT),20000) --output benchmarks/results

train: $(DEV)/ready ## fit the nuclei network (SOURCE= images on the first run, DATASET=, RUN=)
	test -d $(DATASET) || $(DEV)/bin/monolayer-train prepare $(SOURCE) $(DATASET)
	$(DEV)/bin/monolayer-train fit $(DATASET) $(RUN)

export: $(DEV)/ready ## turn a training run into a verified bundle (RUN=, BUNDLE=)
	$(DEV)/bin/monolayer-export $(RUN) $(BUNDLE)

evaluate: $(DEV)/ready ## score the shipped bundles as they are served, beside K-means and Otsu (DATA='nuclei=FOLDER ...')
	$(DEV)/bin/python -m benchmarks.quality $(foreach pair,$(DATA),--data $(pair))

docs: $(DEV)/ready ## write the generated parts of the README, the picture of the examples and clients/openapi.json anew
	$(DEV)/bin/python -m docs.refresh

pictures: client-programs $(CLIENTS)/ready ## take the pictures of the page for the documentation anew, as its test takes and checks them
	MONOLAYER_PICTURES=$(abspath docs/pictures) $(CLIENTS)/bin/python -m pytest -rs tests/page/test_screenshots.py

site: $(DEV)/ready ## the guide as a site in build/site, which needs no other host
	$(DEV)/bin/zensical build --strict && rm -f build/site/*.py

image-lint: $(DEV)/ready ## check the Dockerfile
	$(DEV)/bin/hadolint Dockerfile

LOCK = $(DEV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --upgrade $(foreach part,core service trainer export client,--no-emit-package monolayer-$(part))

lock: $(DEV)/ready ## resolve and hash-pin requirements/ anew
	$(LOCK) requirements/build.in -o requirements/build.txt
	$(LOCK) service/pyproject.toml --extra cpu -o requirements/service-cpu.txt
	$(LOCK) service/pyproject.toml --extra gpu -o requirements/service-gpu.txt
	$(LOCK) service/pyproject.toml --extra cpu --extra openvino -o requirements/service-openvino.txt
	$(LOCK) trainer/pyproject.toml --extra tensorflow -o requirements/trainer.txt
	$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(LOCK) requirements/clients.in -o requirements/clients.txt
	$(LOCK) requirements/fuzz.in -o requirements/fuzz.txt
	$(LOCK) requirements/gpu.in service/pyproject.toml --extra gpu -o requirements/gpu.txt

clean: ## remove the environments and caches (data and runs stay)
	rm -rf .venv .venv-clients .venv-fuzz .venv-gpu .venv-serve-cpu .venv-serve-gpu .venv-serve-openvino .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# An environment counts as made only when its last step has succeeded; a change of the pinned set makes it anew.
$(DEV)/ready: requirements/dev.txt $(PROJECTS)
	$(call environment,$(DEV))
	$(DEV)/bin/$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	$(DEV)/bin/$(PIP_INSTALL) --no-deps --no-build-isolation -e core -e service -e trainer -e export -e clients
	touch $@

$(SERVE)/ready: requirements/build.txt requirements/service-$(RUNTIME).txt core/pyproject.toml service/pyproject.toml
	$(call environment,$(SERVE))
	$(SERVE)/bin/$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/service-$(RUNTIME).txt
	$(SERVE)/bin/$(PIP_INSTALL) --no-deps --no-build-isolation -e core -e service
	touch $@

$(GPU)/ready: requirements/build.txt requirements/gpu.txt core/pyproject.toml service/pyproject.toml
	$(call environment,$(GPU))
	$(GPU)/bin/$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/gpu.txt
	$(GPU)/bin/$(PIP_INSTALL) --no-deps --no-build-isolation -e core -e service
	touch $@

$(CLIENTS)/ready: requirements/clients.txt $(DEV)/ready
	$(call environment,$(CLIENTS))
	$(CLIENTS)/bin/$(PIP_INSTALL) --require-hashes -r requirements/clients.txt
	$(call beside_development,$(CLIENTS))
	touch $@

$(FUZZ)/ready: requirements/fuzz.txt $(DEV)/ready
	$(call environment,$(FUZZ))
	$(FUZZ)/bin/$(PIP_INSTALL) --only-binary :all: --require-hashes -r requirements/fuzz.txt
	$(call beside_development,$(FUZZ))
	touch $@

define environment
@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed (Debian: apt install python3-venv)"; exit 1; }
test -x $(1)/bin/pip || $(PYTHON) -m venv --clear $(1)
endef

# The packages of the development environment are seen from such a one.
define beside_development
$(1)/bin/python -c "import sysconfig, pathlib; here = pathlib.Path(sysconfig.get_path('purelib')); \
	dev = here.relative_to(here.parents[2]); path = here.parents[3] / '$(DEV)' / dev; \
	(here / 'development.pth').write_text(f'import site; site.addsitedir({str(path)!r})\n')"
endef
