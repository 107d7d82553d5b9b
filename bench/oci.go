package main

import "context"

// compareOci: runtimes on the same ready bundle, which does nothing as 9000, without capabilities, under Docker's seccomp profile.
func compareOci(ctx context.Context, l *lab) (*result, error) {
	if err := l.makeBundle(ctx); err != nil {
		return nil, err
	}
	const deckhand, crun, runc = "deckhand oci run", "crun run", "runc run"
	r := &result{
		title: "Runtimes on a ready bundle",
		note:  "The same config.json for all three: /bin/true as user 9000, with Docker's seccomp profile.",
		bars:  []bar{{deckhand, crun, 0.6}},
	}
	run := func(runtime ...string) []string {
		return append(runtime, "run", "--bundle", l.bundle, "deckhand-bench")
	}
	return r, r.measure(ctx, l.runs,
		subject{name: deckhand, args: run(l.deckhand, "oci", "--root", l.path("oci"))},
		subject{name: crun, args: run("crun")},
		subject{name: runc, args: run("runc")},
	)
}
