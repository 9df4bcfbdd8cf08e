# Everything sets itself up in .venv from PyPI; nothing else on the machine is touched.
#   make demo    transcribe the bundled speech, live
#   make test    build the package in every supported way and run all tests
#   make bench   measure how good the merge is and what the package costs; writes docs/
#   make bench-decoder   measure the decoder, half an hour; MODELS="demo base.en", ONLY="speed"
#   make faults  do to the graph what robots do to it; writes docs/faults-measured.md
#   make soak    eight hours of speech at accelerated time, 15 minutes; writes docs/soak-measured.md
# Choose the ROS distribution with ROS=jazzy (the default) or ROS=kilted.

# Recorded streams with known truth, NAME.jsonl and NAME.truth.json, are measured too: STREAMS=FOLDER.

ROS ?= jazzy
PYTHON ?= python3
VENV := .venv$(if $(filter-out jazzy,$(ROS)),-$(ROS))
BIN := $(VENV)/bin
STREAMS ?= ../shared/streams
MODELS ?= demo

# Nothing leaves the machine, and no ROS graph of the machine is disturbed.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export ROS_DOMAIN_ID ?= 87
export ROS_DISTRO := $(ROS)
# Neither does a ROS installation that happens to be sourced mix into the virtual environment.
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

SOURCES := CMakeLists.txt package.xml pyproject.toml setup.py \
  $(shell find transcript_manager msg srv action scripts config launch demo -type f -not -name '*.pyc')

.PHONY: build demo test bench bench-decoder faults soak lint clean

build: $(VENV)/installed

$(VENV)/ready: requirements/ros-$(ROS).txt requirements/build-$(ROS).txt requirements/test.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements/ros-$(ROS).txt \
	  -r requirements/build-$(ROS).txt -r requirements/test.txt
	touch $@

$(VENV)/installed: $(VENV)/ready $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation .
	touch $@

demo: build
	$(BIN)/transcript run --audio demo/demo.flac --model demo --timestamps

test: build
	$(BIN)/python -m pytest -n 2 --dist worksteal test

faults: build
	$(BIN)/python bench/faults --write docs

soak: build
	$(BIN)/python bench/soak.py --write docs

bench: build
	$(BIN)/python bench/merge.py --write docs $(if $(wildcard $(STREAMS)),--streams $(STREAMS))
	$(BIN)/python bench/overhead.py

bench-decoder: build
	$(BIN)/python bench/decoder --models $(MODELS) --write docs $(if $(ONLY),--only $(ONLY))

lint: build
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf .venv .venv-* build install log .pytest_cache .hypothesis
