# Everything here works from a bare clone: what a target needs is set up on the way. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup build test demo bench jitter faults simulate worlds fuzz soak clean distclean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: ## set up a ROS 2 in .ros/, unless one is sourced
	@tools/setup-ros

build: setup ## build all, into install/aether_bridge
	@tools/build

test: setup ## run every test: formatting, core, clippy, ROS graph, launch files
	@tools/test

demo: build ## watch it work: simulated hand, bridge, simulated controller (DEMO_SECONDS=30)
	@tools/ros-env tools/demo

bench: build ## measure delay and cost, from a published target to its line on the socket (BENCH="--quick")
	@tools/ros-env tools/bench $(BENCH)

jitter: build ## measure how much of a tracker's noise the filter lets through, and how late the arm is for it
	@tools/ros-env benches/jitter.py

faults: build ## what faults of link, controller, input, graph and process do to link and motion, and how soon
	@tools/ros-env python3 -m pytest -q tests/ros/test_faults_*.py -p no:cacheprovider -W ignore::DeprecationWarning

simulate: ## a simulated network that fails in every way, for some thousand seeds (SIMULATION_RUNS=3000, or SIMULATION_SEED)
	@SIMULATION_RUNS=$${SIMULATION_RUNS:-3000} cargo test --release --no-default-features --locked --test simulated_network -- --nocapture

worlds: ## the whole bridge against a physical arm, through 10^8 random events (ARM_WORLD_EVENTS, or ARM_WORLD_SEED)
	@ARM_WORLD_EVENTS=$${ARM_WORLD_EVENTS:-100000000} cargo test --release --no-default-features --locked --test arm_world -- --nocapture

fuzz: ## look for inputs that break a rule (FUZZ_SECONDS=240, or FUZZ_RUNS for each target)
	@tools/fuzz

soak: build ## half an hour of faults: nothing wrong is sent, nothing leaks (SOAK_SECONDS=1800 SOAK_FAULTS=1 SOAK_SEED)
	@tools/ros-env tools/soak

clean: ## remove what was built
	rm -rf build install log target

distclean: clean ## remove the ROS in .ros/ too
	rm -rf .ros
