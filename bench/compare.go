package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// compareVersion: how long deckhand itself takes to start.
func compareVersion(ctx context.Context, l *lab) (*result, error) {
	source := l.path("empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return nil, err
	}
	if err := l.do(ctx, "go", "build", "-trimpath", "-o", l.path("bin/empty"), source); err != nil {
		return nil, err
	}
	r := &result{
		title: "Starting the program",
		bars:  []bar{{"deckhand version", "an empty Go program", 2.5}},
	}
	return r, r.measure(ctx, 5*l.runs,
		subject{name: "an empty Go program", args: []string{l.path("bin/empty")}},
		subject{name: "deckhand version", args: []string{l.deckhand, "version"}},
	)
}

// compareStart: a container that does nothing, as 9000, without capabilities, under Docker's seccomp profile.
func compareStart(ctx context.Context, l *lab) (*result, error) {
	if err := l.makeBundle(ctx); err != nil {
		return nil, err
	}
	if err := l.do(ctx, l.podmanArgs("import", l.base, "ubuntu:latest")...); err != nil {
		return nil, err
	}
	const none, bridge, crun, floor = "deckhand run, no network", "deckhand run, bridge", "crun on a ready bundle", "unshare -mpfiun"
	r := &result{
		title: "Running /bin/true as user 9000",
		note:  "crun and runc get a bundle that is unpacked already, with the same seccomp profile; deckhand and podman start from an image.",
		bars:  []bar{{none, floor, 6}, {none, crun, 1}, {bridge, none, 1.5}},
	}
	deckhand := []string{l.deckhand, "run", "--rm", "--network", "none", "-u", "9000", "ubuntu:latest", "true"}
	bridged := append([]string{l.deckhand, "run", "--rm"}, deckhand[5:]...)
	if err := r.measure(ctx, l.runs,
		subject{name: floor, args: []string{"unshare", "-mpfiun", "--mount-proc", "/bin/true"}},
		subject{name: none, args: deckhand},
		subject{name: bridge, args: bridged},
		subject{name: crun, args: []string{"crun", "run", "--bundle", l.bundle, "deckhand-bench-crun"}},
		subject{name: "runc on a ready bundle", args: []string{"runc", "run", "--bundle", l.bundle, "deckhand-bench-runc"}},
	); err != nil {
		return nil, err
	}
	return r, r.measure(ctx, l.slow(), subject{
		name: "podman run, no network",
		args: l.podmanArgs("run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024",
			"--ulimit", "nproc=1000:1000", "-u", "9000", "ubuntu:latest", "true"),
		after: settle,
	})
}

// settle waits for what podman leaves running in the background, which the next subject would pay for.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(300 * time.Millisecond):
		return nil
	}
}

// compareRebuild: the example once more, with everything in the cache.
func compareRebuild(ctx context.Context, l *lab) (*result, error) {
	flags := []string{"-q", "-t", "example", "examples/redis"}
	deckhand := append([]string{l.deckhand, "build"}, flags...)
	long := append([]string{l.deckhand + "-build"}, flags...)
	buildah := l.buildahArgs("build", "--layers", "--isolation", "chroot", "--pull-never", "-q", "-t", "example", "examples/redis")
	if err := l.do(ctx, l.podmanArgs("import", l.base, "ubuntu:latest")...); err != nil {
		return nil, err
	}
	for _, first := range [][]string{deckhand, buildah} {
		if err := l.do(ctx, first...); err != nil {
			return nil, err
		}
	}
	r := &result{
		title: "Building examples/redis again, fully cached",
		note: "Nothing has changed, so deckhand build repeats what it printed. The long way is taken where that is not " +
			"possible, on a terminal for one: every step is looked up in the cache.",
		bars: []bar{{"deckhand build", "buildah build --layers", 0.15}},
	}
	return r, r.measure(ctx, l.runs,
		subject{name: "deckhand build", args: deckhand},
		subject{name: "deckhand build, the long way", args: long},
		subject{name: "buildah build --layers", args: buildah},
	)
}

// compareStep: what one RUN true adds to a build, by building with one and with eleven.
func compareStep(ctx context.Context, l *lab) (*result, error) {
	const steps = 10
	build := func(extra int) (subject, error) {
		dir := l.path(fmt.Sprintf("steps-%d", extra))
		var file strings.Builder
		file.WriteString("FROM ubuntu:latest\nUSER 9000\n")
		for i := range extra + 1 {
			fmt.Fprintf(&file, "RUN [\"/bin/true\", \"%d\"]\n", i)
		}
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.WriteFile(dir+"/Dockerfile", []byte(file.String()), 0o600)
		}
		return subject{
			name: fmt.Sprintf("deckhand build --no-cache, RUN true × %d", extra+1),
			args: []string{l.deckhand, "build", "-q", "--no-cache", "--network", "none", dir},
		}, err
	}
	one, err := build(0)
	if err != nil {
		return nil, err
	}
	many, err := build(steps)
	if err != nil {
		return nil, err
	}
	const step, run = "one more RUN true", "deckhand run … true"
	r := &result{
		title: "What a RUN true step adds to a build",
		note:  fmt.Sprintf("The difference of the two builds, divided by %d.", steps),
		bars:  []bar{{step, run, 2}},
	}
	err = r.measure(ctx, l.runs, one, many, subject{name: run, args: []string{
		l.deckhand, "run", "--rm", "--network", "none", "-u", "9000", "ubuntu:latest", "true",
	}})
	if err != nil {
		return nil, err
	}
	r.subjects = append(r.subjects, step)
	r.median[step] = (r.median[many.name] - r.median[one.name]) / steps
	return r, nil
}

// compareImport: a root filesystem's tar into an empty store.
func compareImport(ctx context.Context, l *lab) (*result, error) {
	r := &result{
		title: "Importing the base (" + size(l.base) + ") into an empty store",
		bars:  []bar{{"deckhand import", "podman import", 1}},
	}
	return r, r.measure(ctx, l.slow(),
		l.fresh(subject{name: "deckhand import", args: []string{l.deckhand, "--data-root", l.path("fresh"), "import", l.base, "base"}}),
		l.fresh(subject{name: "podman import", args: l.freshPodman("import", l.base, "base")}),
	)
}

// compareLoad: a docker archive into an empty store until a container has run from it.
func compareLoad(ctx context.Context, l *lab) (*result, error) {
	archive := l.path("example.tar")
	if err := l.do(ctx, l.deckhand, "build", "-q", "-t", "example", "examples/redis"); err != nil {
		return nil, err
	}
	if err := l.do(ctx, l.deckhand, "save", "-o", archive, "example"); err != nil {
		return nil, err
	}
	r := &result{
		title: "Loading the example (" + size(archive) + ") into an empty store",
		note:  "deckhand's figure includes a container started from the image, so every layer is unpacked, as podman load does.",
		bars:  []bar{{"deckhand load and run", "podman load", 1}},
	}
	script := `"$0" --data-root "$1" load -i "$2" && "$0" --data-root "$1" run --rm --network none -u 9000 example true`
	return r, r.measure(ctx, l.slow(),
		l.fresh(subject{name: "deckhand load and run", args: []string{"sh", "-c", script, l.deckhand, l.path("fresh"), archive}}),
		l.fresh(subject{name: "podman load", args: l.freshPodman("load", "-i", archive)}),
	)
}

// fresh lets a subject begin with an empty directory and nothing waiting to be written.
func (l *lab) fresh(s subject) subject {
	s.before = func(ctx context.Context) error {
		if err := os.MkdirAll(l.path("fresh"), 0o700); err != nil {
			return err
		}
		return l.do(ctx, "sync")
	}
	s.after = func(ctx context.Context) error {
		return l.do(ctx, "sh", "-c", `umount -l "$0/overlay" 2>/dev/null; rm -rf "$0"`, l.path("fresh"))
	}
	return s
}

// freshPodman is a podman command on the directory that fresh empties.
func (l *lab) freshPodman(args ...string) []string {
	return append([]string{"podman", "--root", l.path("fresh"), "--runroot", l.path("podman-run")}, args...)
}

func size(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return "unknown size"
	}
	return strings.TrimSpace(fmt.Sprintf("%d MB", info.Size()/1_000_000))
}
