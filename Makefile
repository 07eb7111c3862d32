# One entry for every task; each sets up what it needs, in .venv.

# Python's own notes of what it has read: without them every start of a test's daemon reads all of it again.
unexport PYTHONDONTWRITEBYTECODE

ARGS ?=
PATHS ?=
WORKERS ?= auto
PYTEST := .venv/bin/python -m pytest

.PHONY: addon audit deb lock image help demo test costs check docs pictures torture cuts world soak clients model fuzz fuzz-parsers faults deliveries fleet brokers metrics mutants bench homeassistant systemd pi

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /make \1: /p' Makefile

demo:  ## Show the main job: a broker, a simulated terminal and the bridge (ARGS=--once ends by itself)
	@.ci/setup demo
	@.venv/bin/zkbridge demo $(ARGS)

test:  ## Run every check and every test, with branch coverage (ARGS are pytest's)
	@.ci/setup test
	@$(MAKE) --no-print-directory check
	$(PYTEST) -m "not slow" -n $(WORKERS) --maxprocesses 6 --dist worksteal --cov --cov-report term $(ARGS)

costs:  ## Run every test without coverage, and print CPU seconds and daemons by folder and the files that cost most
	@.ci/setup test
	$(PYTEST) -m "not slow" -n $(WORKERS) --maxprocesses 6 --dist worksteal --costs build/costs.json $(ARGS)
	.venv/bin/python -m tests.project.costs build/costs.json

check:  ## Run the static checks alone
	@.ci/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

docs:  ## Make the pages of docs/ that come from the code, build the site in build/site, and serve it (ARGS=--once only builds)
	@.ci/setup test
	.venv/bin/python -m tests.docs.write
	.venv/bin/mkdocs build --config-file docs/site/mkdocs.yml
	@echo "The site is build/site/index.html; it needs no server."
	@[ "$(ARGS)" = --once ] || .venv/bin/mkdocs serve --config-file docs/site/mkdocs.yml --dev-addr 127.0.0.1:8000

pictures:  ## Take pictures of every page of the site on a phone, in build/pictures; fails where one does not fit (needs chromium, Node.js)
	@$(MAKE) --no-print-directory docs ARGS=--once
	.venv/bin/python -m tests.docs.pictures

torture:  ## Break everything at random for some twenty minutes (ARGS=, PUNCHES=, DOORS= or PEOPLE="--seed 7" for a run again)
	@.ci/setup test
	.venv/bin/python -m torture requests --requests 3000 --kills 200 $(ARGS)
	.venv/bin/python -m torture punches --punches 10000 $(PUNCHES)
	.venv/bin/python -m torture doors --requests 600 $(DOORS)
	.venv/bin/python -m torture people --terminals 5 --people 300 --requests 500 --kills 20 $(PEOPLE)

cuts:  ## Cut the power 1,000 times in the middle of everything, some twenty minutes (ARGS="--cuts 1000 --seed 7" for a run again)
	@.ci/setup test
	.venv/bin/python -m torture cuts $(ARGS)

world:  ## Run the bridge in a simulated world for five minutes, seed after seed (ARGS="--seed 7 --seeds 1" for one again, ARGS=--bugs to put bugs in)
	@.ci/setup test
	.venv/bin/python -m torture world $(ARGS)

soak:  ## Live a week of a school in ten minutes, and say whether memory, descriptors, ledger or log grow (ARGS="--hours 8")
	@.ci/setup test
	.venv/bin/python -m torture soak $(ARGS)

clients:  ## Try the clients of other projects and write the table of docs/simulator.md (PATHS="pyzk=FOLDER node=FOLDER" tries those alone)
	@.ci/setup test
	.venv/bin/python -m tests.clients $(PATHS)

model:  ## Explore every state of small lives of requests, and hold the ledger to a reference for long (ARGS= are words to choose lives by)
	@.ci/setup test
	.venv/bin/python -m tests.model $(ARGS)
	$(PYTEST) -m slow tests/model/test_ledger_long.py

fuzz:  ## Look for an hour for what may arrive by MQTT, or from a terminal, that breaks a promise (ARGS="--minutes 5 --seed 7" for less, and again)
	@.ci/setup test
	.venv/bin/python -m tests.fuzz $(ARGS)

fuzz-parsers:  ## Look for an hour, guided by coverage, for bytes that break a parser (ARGS="users --minutes 5" for one)
	@.ci/setup test
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	.venv/bin/python -m tests.fuzz.parsers $(ARGS)

faults:  ## Kill at every frame in every way, and bring the large loads (the rest of tests/faults is in `make test`)
	@.ci/setup test
	$(PYTEST) -m slow tests/faults tests/torture tests/transfer -n $(WORKERS) --maxprocesses 6 --dist worksteal $(ARGS)

deliveries:  ## Run every command over every combination of terminal, delivery and size, for about half an hour
	@.ci/setup test
	$(PYTEST) -m slow tests/commands/test_every_delivery.py -n $(WORKERS) --maxprocesses 6 --dist worksteal $(ARGS)

fleet:  ## Run three bridges and 300 terminals on two brokers, kill one bridge, have a standby go on
	@.ci/setup test
	$(PYTEST) -m slow tests/fleet $(ARGS)

brokers:  ## Meet RabbitMQ too, installing it if it is missing (the other brokers are in `make test`)
	@.ci/setup test
	command -v rabbitmq-server >/dev/null || apt-get install -qq -y --no-install-recommends rabbitmq-server
	$(PYTEST) -m slow tests/brokers $(ARGS)

metrics:  ## Have a real Prometheus read a running bridge, installing it if it is missing
	@.ci/setup test
	command -v prometheus >/dev/null || apt-get install -qq -y --no-install-recommends prometheus
	$(PYTEST) -m slow tests/metrics $(ARGS)

mutants:  ## Break one guard after the other on purpose: a test must notice each (ARGS= are words to choose by)
	@.ci/setup test
	.venv/bin/python -m tests.mutants $(ARGS)

bench:  ## Measure everything against bare pyzk, and write docs/performance.* (ARGS=--quick only prints, in a minute)
	@.ci/setup test
	.venv/bin/python -m benchmarks $(ARGS)

deb:  ## Make the Debian packages in build/deb (ARGS=amd64 for one; needs debhelper; some two minutes)
	@sh tests/systemd/need.sh deb dh:debhelper dpkg-buildpackage:dpkg-dev
	@.ci/setup package
	debian/build $(ARGS)

lock:  ## Write anew what the package holds, and what builds it, with hashes (debian/requirements.txt, build-requirements.txt)
	@.ci/setup test
	.venv/bin/pip-compile --quiet --generate-hashes --strip-extras --extra age --extra metrics --extra screen --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links --output-file debian/requirements.txt pyproject.toml
	printf 'hatchling\nsetuptools\n' | .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links --output-file debian/build-requirements.txt -

addon: deb  ## Put Home Assistant's add-on together in build/addon, to be copied into its folder for local add-ons
	rm -rf build/addon && cp -r addon build/addon && mkdir build/addon/packages
	cp build/deb/zkbridge_*_amd64.deb build/deb/zkbridge_*_arm64.deb build/addon/packages

audit:  ## Ask PyPI for known vulnerabilities of every locked package; fails where one cannot be asked for (a minute)
	@.ci/setup test
	@echo "Asking for every package in debian/requirements.txt (in the Debian package, the image and the add-on) and in"
	@echo "debian/build-requirements.txt (what builds them); not for Python, the C library and the broker, which are Debian's,"
	@echo "and not for what only the tests need. It needs PyPI itself: a mirror of its files knows no vulnerabilities."
	.venv/bin/pip-audit --strict --disable-pip --no-deps --requirement debian/requirements.txt \
		--requirement debian/build-requirements.txt

image:  ## Build the container image on a Debian made here, and run it as compose.yaml says (root; some two minutes)
	@sh tests/systemd/need.sh image dh:debhelper mmdebstrap:mmdebstrap systemd-nspawn:systemd-container \
		buildah:buildah podman:podman runc:runc
	@.ci/setup test
	$(PYTEST) -m slow tests/container $(ARGS)

homeassistant:  ## Meet a real Home Assistant, installed beside the tests (Python 3.13; some ten minutes)
	@sh tests/homeassistant/need.sh
	@.ci/setup test
	$(PYTEST) -m slow tests/homeassistant $(ARGS)

systemd:  ## Follow the README on fresh Debians that boot in a container (root; some four minutes)
	@sh tests/systemd/need.sh systemd dh:debhelper mmdebstrap:mmdebstrap systemd-nspawn:systemd-container
	@.ci/setup test
	$(PYTEST) -m slow tests/systemd $(ARGS)

pi:  ## Install package and wheel on the Raspberry Pi's systems, under emulation, and use them (root; up to an hour)
	@sh tests/systemd/need.sh pi dh:debhelper mmdebstrap:mmdebstrap systemd-nspawn:systemd-container \
		qemu-arm-static:qemu-user-static update-binfmts:binfmt-support arch-test:arch-test
	@.ci/setup test
	$(PYTEST) -m slow tests/pi $(ARGS)
