"""The scenarios: one TOML file each, found by ``lab.registry`` under the file's name.

::

    title = "what it shows, in one line"       # required
    source = "where it is described"
    published = "scenarios.1"                  # the paper's numbers for it, in lab/paper.json
    networks = ["vb2014", "gprs"]              # by name, or "all"; by default the file's own
    sessions = 100                             # for each sender on each network

    # senders by name, or as tables with parameters; `seglab list senders --json` has them all;
    # "all" instead of a list is every sender with its default parameters
    senders = ["relay", { name = "fixed_buffer", parameters = { buffer_bytes = 4096 } }]

    [reader]                                   # how the server reads: see lab.reader.Reader
    kind = "event-loop"
    buffer_bytes = 65536

    [message]                                  # lengths of the mails; raw_writes sets its own
    payload_bytes = 6000
    header_bytes = 520                         # by default as it comes
    received_bytes = 77                        # the first header field; by default as it comes

    [sweep]                                    # more variants: one parameter of all senders
    parameter = "terminator_bytes"
    values = [0, 3, 5]
    sessions = 20                              # for each value on each network

    [[network]]                                # a network of its own: see lab.networks
    name = "mine"
    title = "my path"
    mtu = 1400
"""
