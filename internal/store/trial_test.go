package store

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func openTrials(t *testing.T, s *Store) *Trials {
	t.Helper()
	trials, err := s.OpenTrials()
	if err != nil {
		t.Fatal(err)
	}
	return trials
}

// buildFor is what a build of one image does that gets no name. The same content is the same image.
func buildFor(t *testing.T, s *Store, base *Image, content string) digest.Digest {
	t.Helper()
	lease, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	config := base.Config
	config.Author = content
	img, err := s.PutImage(t.Context(), config, imageLayers(t, s, base))
	if err == nil {
		err = s.KeepUntagged(t.Context(), img.Target)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img.ID
}

// partner is the store of another process that builds for the trials.
func partner(t *testing.T, trials *Trials) *Store {
	t.Helper()
	o := Options{Rootless: trials.Store.opts.Rootless, SingleID: trials.Store.opts.SingleID, Trials: trials.Name()}
	s, err := Open(trials.Store.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// die is what the kernel does for a process that is killed.
func (t *Trials) die() { unlock(t.dir.lock) }

// ids are the images that are listed, but for the base.
func ids(t *testing.T, s *Store, base *Image) []string {
	t.Helper()
	images, err := s.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, img := range images {
		if img.ID != base.ID {
			got = append(got, img.ID.String())
		}
	}
	return sorted(got)
}

func mustHave(t *testing.T, s *Store, id digest.Digest) {
	t.Helper()
	img, err := s.Image(t.Context(), id.String())
	if err != nil || img.ID != id {
		t.Errorf("the image is not there: %v", err)
	}
}

// However trials end, what nobody else has is gone, and whatever somebody else has stays.
func TestTrials(t *testing.T) {
	ends := map[string]func(t *testing.T, trials *Trials){
		"closed": func(t *testing.T, trials *Trials) {
			if err := errors.Join(trials.Close(t.Context()), trials.Close(t.Context())); err != nil {
				t.Error(err)
			}
		},
		"killed": func(t *testing.T, trials *Trials) {
			trials.die()
			if err := openAt(t, trials.Store.Root()).GC(t.Context()); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			base := importAs(t, s, "base", "f", "content")
			before := buildFor(t, s, base, "dangling before")
			trials := openTrials(t, s)
			p := partner(t, trials)
			alone := buildFor(t, p, base, "alone")
			buildFor(t, p, base, "dangling before")
			since := buildFor(t, p, base, "dangling since")
			named := buildFor(t, p, base, "named")
			buildFor(t, s, base, "dangling since")
			mustHave(t, trials.Store, named)
			tag(t, s, "app", image(t, trials.Store, named.String()))
			if err := s.GC(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustHave(t, trials.Store, alone)
			mustHave(t, trials.Store, before)

			end(t, trials)
			if diff := cmp.Diff(sorted([]string{before.String(), since.String(), named.String()}), ids(t, s, base)); diff != "" {
				t.Error(diff)
			}
			if _, ok := s.HasBlob(alone); ok {
				t.Error("what was only tried is still there")
			}
			mustBeSound(t, s)
		})
	}
}

// Trials of the same image do not know of each other.
func TestTrialsOfOneImage(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "f", "content")
	first, second, third := openTrials(t, s), openTrials(t, s), openTrials(t, s)
	id := buildFor(t, partner(t, first), base, "it")
	buildFor(t, partner(t, second), base, "it")
	buildFor(t, partner(t, third), base, "it")
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.die()
	openAt(t, s.Root())
	mustHave(t, third.Store, id)
	problems, err := s.Check(t.Context())
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if err := third.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.HasBlob(id); ok {
		t.Error("the last one leaves the image behind")
	}
	mustBeSound(t, s)
}

// Who does not take part sees no images of trials, and cannot take them away.
func TestTrialsAreTheirOwn(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "f", "content")
	trials := openTrials(t, s)
	other := openTrials(t, s)
	id := buildFor(t, partner(t, trials), base, "it")
	for name, st := range map[string]*Store{"a user": s, "others who try": other.Store} {
		_, err := st.Image(t.Context(), id.String())
		wantError(t, err, ErrNotFound)
		_, err = st.RemoveImage(t.Context(), id.Encoded(), true)
		wantError(t, err, ErrNotFound)
		if got := ids(t, st, base); len(got) > 0 {
			t.Errorf("%s: listed are %v", name, got)
		}
	}
	buildFor(t, s, base, "it")
	removed, err := s.RemoveImage(t.Context(), id.Encoded(), false)
	if diff := cmp.Diff(Removed{Deleted: []digest.Digest{id}}, removed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	mustHave(t, trials.Store, id)
	if err := errors.Join(other.Close(t.Context()), trials.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, s)
}

// Check looks at the images of trials too.
func TestCheckTrials(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "f", "content")
	trials := openTrials(t, s)
	damage(t, s, buildFor(t, partner(t, trials), base, "it"))
	problems, err := s.Check(t.Context())
	if err != nil || len(problems) != 2 { // the blob, and the image
		t.Errorf("%v, %v", problems, err)
	}
	if err := trials.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, s)
}

// Nothing is kept for trials that have ended, nor below another name.
func TestTrialsThatAreNot(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "f", "content")
	trials := openTrials(t, s)
	p := partner(t, trials)
	if err := trials.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.KeepUntagged(t.Context(), base.Target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("kept for nobody: %v", err)
	}
	for _, name := range []string{"trials", "trials-", "trials-../..", "../dangling", "lab-0123"} {
		if _, err := Open(s.Root(), Options{Trials: name}); err == nil {
			t.Errorf("there are trials %q", name)
		}
	}
	mustBeSound(t, s)
}
