"""The scenarios: one TOML file each, found by ``lab.registry`` under the file's name.

::

    title = "what it shows, in one line"       # required
    source = "where it is described"
    published = "listings.12"                  # the paper's numbers for it, in lab/paper.json
    layer = "reads"                            # or segments: where a listing's sizes are to be
    networks = ["vb2014", "gprs"]              # by name, or "all"; by default the file's own
    sessions = 100                             # for each sender on each network

    # senders by name, or as tables with parameters; `seglab list senders --json` has them all;
    # "all" instead of a list is every sender with its default parameters
    senders = ["relay", { name = "fixed_buffer", parameters = { buffer_bytes = 4096 } }]

    [reader]                                   # how the server reads: see lab.reader.Reader
    kind = "event-loop"                        # or recv-loop
    buffer_bytes = 65536
    turn_us = 0                                # how long an event loop's callback takes
    wake_us = 0                                # how long until the loop comes to a readable socket

    [message]                                  # generated mail; raw_writes makes its own payload
    kind = "newsletter"                        # or notification, picture, stock_tip, text
    payload_bytes = 6000                       # from after the 354 reply to CRLF . CRLF
    header_bytes = 700                         # without the empty line; by default as it comes
    first = "Received"                         # the first field; by default the sender's
    received_bytes = 77                        # the Received field; by default as it comes
    value_at = { Subject = 399 }               # where a field's value begins, after the colon
    value_bytes = { Subject = 29 }             # how long it is, up to the CRLF

    [message]                                  # or, instead, mail of your own
    source = "mails"                           # an .eml file, a folder of them, or an mbox, by a
                                               # path from this file; each session takes the next
    skip_bad = false                           # true leaves out what cannot be sent

    [sweep]                                    # more variants: one parameter of all senders
    parameter = "terminator_bytes"
    values = [0, 3, 5]
    sessions = 20                              # for each value on each network

    [[network]]                                # a network of its own: see lab.networks
    name = "mine"
    title = "my path"
    like = "ethernet"                          # what it does not say itself; by default nothing
    mtu = 1400
"""
