# All targets work in a new clone, because each target sets up its requirements first. `make`
# without a target lists them.
.DEFAULT_GOAL := help
.PHONY: help setup build test demo bench jitter faults simulate worlds fuzz soak clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: ## install a ROS 2 into .ros/, unless a ROS 2 is sourced
	@tools/setup-ros

build: setup ## build everything into install/aether_bridge
	@tools/build

test: setup ## run all tests: formatting, core, clippy, ROS graph, launch files
	@tools/test

demo: build ## run a demo: simulated hand, bridge, simulated controller (DEMO_SECONDS=30)
	@tools/ros-env tools/demo

bench: build ## measure delay and cost from a published target to its line on the socket (BENCH="--quick")
	@tools/ros-env tools/bench $(BENCH)

jitter: build ## measure how much tracker noise passes the filter, and how much delay the filter adds
	@tools/ros-env benches/jitter.py

faults: build ## cause faults in link, controller, input, graph and process; print the effects and their delays
	@tools/ros-env python3 -m pytest -q tests/ros/test_faults_*.py -p no:cacheprovider -W ignore::DeprecationWarning

simulate: ## test the link on a simulated network with random faults (SIMULATION_RUNS=3000, or SIMULATION_SEED)
	@SIMULATION_RUNS=$${SIMULATION_RUNS:-3000} cargo test --release --no-default-features --locked --test simulated_network -- --nocapture

worlds: ## test the bridge with a simulated physical arm and 10^8 random events (ARM_WORLD_EVENTS, or ARM_WORLD_SEED)
	@ARM_WORLD_EVENTS=$${ARM_WORLD_EVENTS:-100000000} cargo test --release --no-default-features --locked --test arm_world -- --nocapture

fuzz: ## search for inputs that break a rule (FUZZ_SECONDS=240, or FUZZ_RUNS for each target)
	@tools/fuzz

soak: build ## run half an hour of random faults; check all lines and all resources (SOAK_SECONDS=1800 SOAK_FAULTS=1 SOAK_SEED)
	@tools/ros-env tools/soak

clean: ## remove all build results
	rm -rf build install log target

distclean: clean ## also remove the ROS 2 in .ros/
	rm -rf .ros
