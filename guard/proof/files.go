package proof

import (
	"errors"
	"fmt"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

// The names of the files.
const (
	FileName       = "proof.json" // the proof itself
	DockerfileName = "Dockerfile"
	SeccompName    = "seccomp.json"      // of deckhand's own containers, and of the profile
	RuncName       = "seccomp-runc.json" // the same, and what runc and crun need to start it
	RunName        = "run.sh"
	ComposeName    = "compose.yaml"
	KubernetesName = "kubernetes.yaml"
	PageName       = "proof.md"
	PictureName    = "proof.svg"
)

// names are all files that there may be, in the order in which they are put in place: the proof is the last.
func names() []string {
	return []string{
		DockerfileName, SeccompName, RuncName, profile.FileName, RunName, ComposeName, KubernetesName, PictureName,
		PageName, FileName,
	}
}

// Files are the files that a proof is written as, by name. The filters are there only where p.Syscalls is not empty,
// the picture only where both columns of probes are. An error is a profile that is none (a [*profile.Error]), or a
// number that JSON cannot hold.
func Files(p *Proof) (map[string][]byte, error) {
	p = p.settled()
	if p.Version != Version {
		return nil, fmt.Errorf("write proof: version %d is not known here, only %d is", p.Version, Version)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("write proof: %w", err)
	}
	files := map[string][]byte{DockerfileName: []byte(p.Dockerfile)}
	for _, w := range []struct {
		name  string
		write func(*Proof) ([]byte, error)
	}{
		{SeccompName, (*Proof).seccomp},
		{RuncName, (*Proof).runcSeccomp},
		{profile.FileName, func(p *Proof) ([]byte, error) { return p.Profile.Encode() }},
		{RunName, (*Proof).script},
		{ComposeName, (*Proof).compose},
		{KubernetesName, (*Proof).kubernetes},
		{PictureName, (*Proof).picture},
		{PageName, (*Proof).page},
		{FileName, func(p *Proof) ([]byte, error) { return encode(p, "  ") }},
	} {
		content, err := w.write(p)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", w.name, err)
		}
		files[w.name] = content
	}
	return files, nil
}

// errNothing is what a writer says that has nothing to write.
var errNothing = errors.New("there is nothing to write")
