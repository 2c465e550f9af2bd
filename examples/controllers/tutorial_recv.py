"""A controller as in tutorials: one client, a blocking recv(1024) loop, a reply to every command.

usage: tutorial_recv.py [PORT]
"""

import json
import socket
import sys

HOST = "127.0.0.1"
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5000

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((HOST, PORT))
server.listen(1)
print(f"Waiting for a connection on {HOST}:{PORT}")

client, address = server.accept()
print(f"Connected by {address[0]}")

while True:
    data = client.recv(1024)
    if not data:
        break
    command = json.loads(data.decode())
    print(f"Moving to x={command['x']} y={command['y']} z={command['z']}, gripper {command['gripper']}")
    response = {"status": "ok", "message": "Command received"}
    client.sendall((json.dumps(response) + "\n").encode())

print("Disconnected")
client.close()
server.close()
