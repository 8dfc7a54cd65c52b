#!/usr/bin/env python3
"""Takes TLS on a free port, from clients whose certificate it trusts, and passes what they say on to another port.

    tls_proxy.py CERTIFICATE KEY CA PORT

Prints the port that it took.
"""

import socket
import ssl
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(context, plain, port):
    try:
        client = context.wrap_socket(plain, server_side=True)
        behind = socket.create_connection(("127.0.0.1", port))
    except OSError:
        plain.close()
        return
    threading.Thread(target=pump, args=(client, behind), daemon=True).start()
    pump(behind, client)


def main():
    certificate, key, trusted, port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=serve, args=(context, plain, int(port)), daemon=True).start()


if __name__ == "__main__":
    main()
