package hardencmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// warnOfVolumes says which volumes, of the names that the profile proposes, are there already and hold files of root's:
// the service is not root any more, and could not change them.
func warnOfVolumes(ctx context.Context, std files, e *engine.Engine, p *profile.Profile) {
	uid, gid, err := p.IDs()
	if err != nil || uid == 0 {
		return
	}
	for _, v := range p.Volumes {
		if v.Name == "" {
			continue
		}
		found, err := e.ChownVolume(ctx, v.Name, engine.Chown{UID: uid, GID: int64(gid)})
		if what := oldVolume(found, err); what != "" {
			_, _ = fmt.Fprintf( // a warning is best effort
				std.status.Around(std.err),
				"deckhand: warning: the volume %s is there already, and %s\n  see which files are root's, and give them away:  deckhand volume chown %s %s\n",
				v.Name, ui.Clean(what), v.Name, p.User,
			)
		}
	}
}

// oldVolume is what there is to say of a volume that was looked into.
func oldVolume(found *engine.Chowned, err error) string {
	running, runs := errors.AsType[*engine.RunningError](err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ""
	case runs:
		return running.Error()
	case err != nil:
		return "cannot be looked into: " + err.Error()
	case found.Changed.Count == 0:
		return ""
	}
	return fmt.Sprintf("%d of %d files in it belong to root", found.Changed.Count, found.Seen)
}

// warnOfCopies says that the next build would copy the proof beside the Dockerfile into the image.
func warnOfCopies(std files, s *subject) {
	ignore := filepath.Join(s.context, ".dockerignore")
	for _, name := range []string{s.file + ".dockerignore", ignore} {
		if text, err := os.ReadFile(name); err == nil {
			ignore = name
			if bytes.Contains(text, []byte(proofDir)) {
				return
			}
			break // the first one counts
		}
	}
	if filepath.Clean(s.context) == filepath.Dir(s.file) && copiesAll(s.dockerfile) {
		_, _ = fmt.Fprintf( // a warning is best effort
			std.status.Around(std.err),
			"deckhand: warning: %s copies its whole directory, and from now on %s with it\n  leave it out:  echo %s >>%s\n",
			s.file, proofDir, proofDir, ignore,
		)
	}
}

// copiesAll reports whether an instruction copies all of the build context.
func copiesAll(text []byte) bool {
	f, err := dockerfile.Parse(text)
	if err != nil {
		return false
	}
	for _, stage := range f.Stages {
		if slices.ContainsFunc(stage.Instructions, isCopyOfAll) {
			return true
		}
	}
	return false
}

func isCopyOfAll(in dockerfile.Instruction) bool {
	_, other := in.Flag("from")
	if in.Keyword != "COPY" && in.Keyword != "ADD" || other || len(in.Args) == 0 {
		return false
	}
	return slices.ContainsFunc(in.Args[:len(in.Args)-1], func(arg string) bool { return path.Clean("/"+arg) == "/" })
}
