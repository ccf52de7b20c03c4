#!/usr/bin/perl
# A classifier in another language: it reads observations and prints verdicts, as lines of JSON.
#
#     seglab regress "cmd:perl examples/classify.pl" --sessions sample
#
# It looks at sizes against the MSS only, and answers with every style that it cannot exclude.
# perl-base, which every Debian has, brings no JSON; the few fields it needs are found by patterns.
use strict;
use warnings;

$| = 1;    # flush each answer: seglab waits for it before it asks on

sub numbers {
    my ($line, $key) = @_;
    return $line =~ /"$key":\[([\d,]*)\]/ ? split(/,/, $1) : ();
}

while (my $line = <STDIN>) {
    my @sizes = numbers($line, 'sizes');
    my ($mss) = $line =~ /"mss":(\d+)/;
    my $again = $line =~ /"retransmission":\[[^\]]*true/;

    # Reads merge segments, offload does as well, and a retransmission may have been cut again:
    # then sizes say little of the writes, and it abstains.
    if ($line !~ /"layer":"segments"/ || !defined $mss || $again || grep { $_ > $mss } @sizes) {
        print "null\n";
        next;
    }
    my @short = grep { $sizes[$_] < $mss } 0 .. $#sizes - 1;
    if (!@short) {
        print qq({"style": ["single_write", "fixed_buffer", "timed_writes"]}\n);
    }
    elsif (@short == 1) {    # not: the first size is short; that depends on the MSS
        my @styles = qw(relay headers_then_body distinct_from custom_headers line_by_line
          fixed_buffer timed_writes);
        print '{"style": [', join(', ', map { qq("$_") } @styles), "]}\n";
    }
    else {
        print "null\n";
    }
}
