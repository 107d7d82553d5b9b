package proof

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/oci"
)

// script is run.sh.
func (p *Proof) script() ([]byte, error) {
	run := []string{`exec deckhand run --profile "$dir"`}
	run = append(run, p.mountedAndPublished()...)
	run = append(run, `"$@" `+hint.Word(p.image()))
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	b.WriteString(comments(slices.Concat([]string{
		"Run " + p.name() + " with exactly what was proven, as proof.md says. Flags of `deckhand run` may follow:",
		"  ./" + RunName + " -d --name " + p.name(),
		"", "If the image is not there yet (DIR is this directory):", "  " + p.build(),
		"", "The same without a profile:", "  " + p.spelledOut("deckhand", SeccompName),
	}, p.forDocker())))
	b.WriteString("set -eu\n" + `dir=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)` + "\n")
	b.WriteString(strings.Join(run, " \\\n  ") + "\n")
	return []byte(b.String()), nil
}

// Commands are the lines that build the image and run it as the files in dir say.
func (p *Proof) Commands(dir string) []string {
	run := append([]string{"deckhand run --rm --profile " + hint.Word(dir)}, p.mountedAndPublished()...)
	return []string{p.buildFrom(hint.Word(filepath.Join(dir, DockerfileName))), strings.Join(append(run, hint.Word(p.image())), " ")}
}

// build is the line that builds the image, in a comment of a file.
func (p *Proof) build() string { return p.buildFrom("DIR/" + DockerfileName) }

// buildFrom is the line that builds the image from a Dockerfile.
func (p *Proof) buildFrom(dockerfile string) string {
	over := "CONTEXT"
	if p.Context != "" {
		over = hint.Word(p.Context)
	}
	return "deckhand build -t " + hint.Word(p.image()) + " -f " + dockerfile + " " + over
}

// forDocker are the comments for those who use docker.
func (p *Proof) forDocker() []string {
	lines := []string{"", "With docker:", "  " + p.spelledOut("docker", RuncName)}
	return append(lines, p.dockerLacks()...)
}

// dockerLacks says what engines other than deckhand do not give.
func (p *Proof) dockerLacks() []string {
	if p.isRoot() || len(p.Profile.Capabilities) == 0 {
		return nil
	}
	return []string{
		"This engine gives capabilities to root only. The service runs as a user, for whom they have no effect there",
		"unless its program has them as file capabilities: " + strings.Join(p.Profile.Capabilities, ", "),
	}
}

// isRoot reports whether the service has to be uid 0.
func (p *Proof) isRoot() bool {
	uid, _, err := p.Profile.IDs()
	return err == nil && uid == 0
}

// spelledOut is a line that says what the profile does, in docker's flags.
func (p *Proof) spelledOut(engine, filter string) string {
	f := &p.Profile
	flags := []string{engine, "run", "-u", hint.Word(f.User)}
	if !f.ReadWrite {
		flags = append(flags, "--read-only")
	}
	flags = append(flags, "--cap-drop", "ALL")
	for _, c := range f.Capabilities {
		flags = append(flags, "--cap-add", dockerCapability(c))
	}
	flags = append(flags, "--security-opt", "no-new-privileges"+map[bool]string{true: "=false"}[f.Escalates])
	if len(p.Syscalls) > 0 {
		flags = append(flags, "--security-opt", "seccomp=DIR/"+filter)
	}
	sysctls := p.sysctls()
	for _, name := range slices.Sorted(maps.Keys(sysctls)) {
		flags = append(flags, "--sysctl", hint.Word(name+"="+sysctls[name]))
	}
	for _, t := range f.Tmpfs {
		if sayable(t.Path) {
			flags = append(flags, "--tmpfs", hint.Word(p.tmpfs(t.Path, t.Mode)))
		}
	}
	flags = append(flags, p.mountedAndPublished()...)
	return strings.Join(append(flags, hint.Word(p.image())), " ")
}

// mountedAndPublished are the flags that a profile leaves to the person who types.
func (p *Proof) mountedAndPublished() []string {
	var flags []string
	for _, v := range p.volumes() {
		if sayable(v.Path) {
			flags = append(flags, "-v "+hint.Word(v.name+":"+v.Path))
		}
	}
	for _, t := range p.ports() {
		flags = append(flags, "-p "+hint.Word(t.published()))
	}
	return flags
}

// tmpfs is a directory in memory as --tmpfs and compose take it: as deckhand makes it.
func (p *Proof) tmpfs(path, mode string) string {
	if mode == "" {
		mode = "0755"
	}
	uid, gid, _ := strings.Cut(p.Profile.User, ":")
	return path + ":mode=" + mode + ",uid=" + uid + ",gid=" + gid
}

// sysctls are the profile's, and the one that deckhand sets under a profile: low ports are a privilege.
func (p *Proof) sysctls() map[string]string {
	all := map[string]string{oci.PortStart: "1024"}
	maps.Copy(all, p.Profile.Sysctls)
	return all
}

// dockerCapability is a capability's name in docker's words, and in Kubernetes'.
func dockerCapability(name string) string { return strings.TrimPrefix(name, "CAP_") }
