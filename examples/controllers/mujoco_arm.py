#!/usr/bin/env python3
"""A simulated arm with physics (pip install mujoco). It fills in move and halt of blocking.py."""

import argparse
import json
import os
import struct
import sys
import threading
import time
import zlib

import blocking

if "--render" in sys.argv:
    os.environ.setdefault("MUJOCO_GL", "egl")  # draw without a window; without EGL, set MUJOCO_GL=osmesa
try:
    import mujoco
    import numpy as np
except Exception as problem:  # the import also fails if the GL library is missing
    print(f"mujoco cannot be used: {problem}. Install it with: python3 -m pip install mujoco", file=sys.stderr)
    sys.exit(2)

# Three hinges with servo motors. gravcomp cancels gravity, like the integral part of a real servo.
ARM = """<mujoco>
  <compiler angle="radian"/><option timestep="0.002" integrator="implicitfast"/>
  <visual><global offwidth="640" offheight="480"/><headlight ambient="0.3 0.3 0.3" diffuse="0.2 0.2 0.2"/></visual>
  <default>
    <joint axis="0 1 0" damping="0.5" armature="0.02"/>
    <geom type="capsule" size="0.018" density="1000" rgba="0.95 0.55 0.15 1" contype="0" conaffinity="0"/>
    <position kp="80" kv="6" inheritrange="1"/>
    <default class="finger">
      <joint type="slide" axis="0 1 0" range="0 0.025" damping="2" armature="0.05"/>
      <geom type="box" size="0.02 0.004 0.01" rgba="0.2 0.2 0.25 1"/>
    </default>
  </default>
  <worldbody>
    <light pos="0.3 -0.6 1.2" dir="-0.2 0.4 -1" diffuse="0.5 0.5 0.5"/>
    <camera name="view" pos="0.55 -0.65 0.5" xyaxes="0.76 0.65 0 -0.3 0.35 0.89"/>
    <geom type="plane" size="0.5 0.5 0.01" rgba="0.75 0.8 0.85 1"/>
    <geom type="cylinder" size="0.05 0.06" pos="0 0 0.06" rgba="0.3 0.35 0.4 1"/>
    <body pos="0 0 0.14" gravcomp="1"><joint name="turn" axis="0 0 1" range="-3 3"/><geom type="sphere" size="0.03"/>
      <body gravcomp="1"><joint name="shoulder" range="-2.6 1.2"/><geom fromto="0 0 0 0.2 0 0"/>
        <body pos="0.2 0 0" gravcomp="1"><joint name="elbow" range="0.1 2.7"/>
          <geom fromto="0 0 0 0.15 0 0" rgba="0.3 0.45 0.7 1"/>
          <geom type="box" size="0.01 0.036 0.01" pos="0.155 0 0" rgba="0.2 0.2 0.25 1"/>
          <site name="tool" pos="0.2 0 0" rgba="1 0 0 1" size="0.003"/>
          <body pos="0.18 0.004 0" gravcomp="1"><joint name="left" class="finger"/><geom class="finger"/></body>
          <body pos="0.18 -0.004 0" gravcomp="1">
            <joint name="right" class="finger" axis="0 -1 0"/><geom class="finger"/></body>
        </body></body></body>
  </worldbody>
  <actuator><position joint="turn"/><position joint="shoulder"/><position joint="elbow"/>
            <position joint="left"/><position joint="right"/></actuator>
</mujoco>"""
SHOULDER, OPEN = (0.0, 0.0, 0.14), 0.025  # metres; OPEN: from the middle to each finger
SIZE = struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0)  # PNG header: 640 x 480 pixels, three 8-bit colours


class Arm:
    """The arm and its world. A thread simulates them in real time."""

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(ARM)
        self.data = mujoco.MjData(self.model)
        self.lock = threading.Lock()  # protects `data` and `target`
        self.data.qpos[:] = self.data.ctrl[:] = 0.0, -1.31, 2.04, OPEN, OPEN
        mujoco.mj_forward(self.model, self.data)
        self.target = self.data.site_xpos[0].copy()  # the site is the tool centre point
        threading.Thread(target=self.run, daemon=True).start()

    def move(self, x, y, z, gripper):
        target = np.array([x, y, z]) / 1000
        far = 1000 * np.linalg.norm(target - SHOULDER)
        if not 100 <= far <= 390 or z < 10:
            raise ValueError(f"out of reach: {far:.0f} mm from the shoulder (100 to 390 mm) at z {z} mm (10 or more)")
        print(f"move x={x} y={y} z={z} gripper={gripper}", flush=True)
        with self.lock:
            self.target = target
            self.data.ctrl[3:] = OPEN if gripper == "open" else 0.0

    def halt(self, why):
        print(why, flush=True)
        with self.lock:
            self.target = self.data.site_xpos[0].copy()

    def state(self):
        """Return the members to add to every reply. The bridge publishes them on ~/arm_state."""
        with self.lock:
            position = (1000 * self.data.site_xpos[0]).round(3).tolist()
            joints = self.data.qpos[:3].round(4).tolist()
            gripper = "open" if self.data.qpos[3:].mean() > OPEN / 2 else "closed"
            moving = bool(np.abs(self.data.qvel[:3]).max() > 0.02)
        return {"position": position, "gripper": gripper, "moving": moving, "joints": joints}

    def run(self):
        began = time.monotonic()
        while True:
            with self.lock:
                began = max(began, time.monotonic() - self.data.time - 0.1)  # after a pause, catch up 0.1 s at most
                while self.data.time < time.monotonic() - began:
                    self.step()
            time.sleep(0.002)

    def step(self):
        """Simulate one step. Inverse kinematics by damped least squares."""
        jacobian = np.zeros((3, self.model.nv))
        mujoco.mj_jacSite(self.model, self.data, jacobian, None, 0)
        jacobian = jacobian[:, :3]  # without the joints of the fingers
        way = self.target - self.data.site_xpos[0]
        # The damping limits the joint speeds near a singularity, where the arm is stretched out.
        speeds = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 0.03**2 * np.eye(3), 12.0 * way)
        aims = self.data.ctrl[:3] + np.clip(speeds, -3.0, 3.0) * self.model.opt.timestep
        aims = np.clip(aims, self.data.qpos[:3] - 0.2, self.data.qpos[:3] + 0.2)  # a freed joint must not jump
        self.data.ctrl[:3] = np.clip(aims, *self.model.jnt_range[:3].T)
        mujoco.mj_step(self.model, self.data)

    def draw(self, renderer, file):
        with self.lock:
            renderer.update_scene(self.data, "view")
        rows = b"".join(b"\0" + row.tobytes() for row in renderer.render())
        with open(file, "wb") as png:
            png.write(b"\x89PNG\r\n\x1a\n")
            for name, data in ((b"IHDR", SIZE), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
                png.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


class Session(blocking.Session):
    def reply_to(self, line):
        return json.dumps({**json.loads(super().reply_to(line)), **arm.state()}).encode() + b"\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--render", metavar="PICTURE.png", help="file to draw the arm into at the end")
    arguments = parser.parse_args()
    arm = Arm()
    blocking.move, blocking.halt, blocking.Session = arm.move, arm.halt, Session
    try:
        renderer = mujoco.Renderer(arm.model, 480, 640) if arguments.render else None
    except Exception as problem:
        sys.exit(f"no picture without OpenGL: {problem}. Install libegl1 and libgl1-mesa-dri, or try MUJOCO_GL=osmesa")
    try:
        blocking.run(arguments.host, arguments.port)
    finally:
        if renderer:
            arm.draw(renderer, arguments.render)
