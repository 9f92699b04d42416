"""THE GRAMMAR: bytes to typed requests and answers to bytes, nothing else. No sockets, no store, no clock.

May import ``errors`` and msgspec only. Changes when AWS's protocol does. Start reading with ``router.py`` (which
operation is meant), then ``rest_json.py`` (its request) and ``validate.py`` (may its members have these values);
``faults.py`` renders what went wrong. ``json11.py`` and ``query_xml.py`` are the protocols of Logs and STS.
``shapes.py`` is generated.
"""
