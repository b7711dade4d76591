"""The overlay in SGLang 0.5.16 to 0.5.23, as a plugin: SGLang looks on its path for entry points of the group
`sglang.srt.plugins`, and ../hook has one.

    entry.py                hooks each module of SGLang below when it is there
    http_server.py          the ranks are launched and counted, announced, and shown on /metrics
    tokenizer_manager.py    at_tokenizer, withdraw
    mm_utils.py             hash and SGLang's own shared memory, timed
    request_receiver.py     receipt and broadcast, timed
    scheduler.py            on_receive, materialise, on_abort
    inputs.py               SGLang's own kinds of inputs, and how it builds them

Each is named as SGLang's module that it hooks, and has SHAPES, what must be found there, and HOOKS: an AROUND hook for
SGLang's registry for each function, called with that and its arguments. ../older has the same form.

These versions put the features of inputs of their own kinds into shared memory of their own just before a request is
sent, and each rank maps them after the broadcast, behind a barrier. The variants leave that as it is, because it is how
this server transports features, whoever builds: `original` is its own way to the last byte, and `optimized` differs in
who builds and hashes, not in what carries the bytes. The entry rank's object still goes by pickle with its features in
`commit` and those like it, as SGLang's own --enable-broadcast-mm-inputs-process sends it. `shm` sends a parcel in an
envelope, in which SGLang finds no features to carry: its shared memory, barrier and agreement don't come into play.
"""
