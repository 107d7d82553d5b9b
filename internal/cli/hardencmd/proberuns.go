package hardencmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/moby/sys/user"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/probe/report"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/lab"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// probeRun is one column to be.
type probeRun struct {
	kind    report.Kind
	asked   string
	setting probe.Setting
}

// probe runs the battery for each column.
func (o *probeOptions) probe(ctx context.Context, std files, g *global, image string) (r *report.Report, err error) {
	e, err := g.openEngine(std)
	if err != nil {
		return nil, err
	}
	img, err := findImage(ctx, e, image)
	if err != nil {
		return nil, err
	}
	if e.SingleID && len(o.users) == 0 {
		_, _ = fmt.Fprintln(std.err, "deckhand: note: no other user is tried: without subordinate ids there is only root") // nothing to do when stderr is gone
		o.noDefault = true
	}
	runs, err := o.runs(std, img)
	if err != nil {
		return nil, err
	}
	l, err := openLab(lab.Options{Engine: e})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	r = &report.Report{Image: image, ImageID: img.ID.String()}
	for _, run := range runs {
		std.status.Set("probing " + image + " " + run.setting.Title)
		c, err := l.Probe(ctx, r.ImageID, run.setting)
		if err != nil {
			return nil, explainProbe(err, image)
		}
		if c.Root() {
			c.Title += " (root)"
		}
		r.Columns = append(r.Columns, report.Column{Column: *c, Kind: run.kind, Asked: run.asked})
	}
	return r, nil
}

// findImage finds the image in the store.
func findImage(ctx context.Context, e *engine.Engine, name string) (*store.Image, error) {
	img, err := e.Store.Image(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, hint.With(fmt.Errorf("no such image: %s", name),
			"get it from a registry:    deckhand pull "+name,
			"images that are here:      deckhand images")
	case errors.Is(err, store.ErrCorrupt):
		return nil, hint.With(err, "get it anew:  deckhand rmi -f "+name+" && deckhand pull "+name)
	}
	return img, err
}

// explainProbe says what to type where the user is at fault.
func explainProbe(err error, image string) error {
	if errors.Is(err, user.ErrNoPasswdEntries) || errors.Is(err, user.ErrNoGroupEntries) {
		return hint.With(err, "a number needs no entry:  deckhand probe --user "+defaultUser+" "+image)
	}
	return err
}

// runs are the columns, those with more privileges first.
func (o *probeOptions) runs(std files, img *store.Image) ([]probeRun, error) {
	own, who := img.Config.Config.User, ""
	if own != "" && own != "root" && own != "0" {
		who = " (" + own + ")"
	}
	all := []probeRun{{kind: report.KindImage, setting: probe.Setting{Title: "as it is" + who}}}
	if o.against == dockerDefaults {
		setting := probe.Setting{Title: "docker's defaults" + who, NewPrivileges: true}
		all = slices.Insert(all, 0, probeRun{kind: report.KindDocker, setting: setting})
	}
	for _, u := range o.usersToTry(own) {
		setting := probe.Setting{Title: userTitle(u), User: u}
		all = append(all, probeRun{report.KindUser, u, setting})
	}
	for _, name := range unique(o.profiles) {
		run, err := profileRun(std, img, name)
		if err != nil {
			return nil, err
		}
		all = append(all, run)
	}
	return all, nil
}

// usersToTry are those that were named, each once; one is tried besides the image's own where nobody was.
func (o *probeOptions) usersToTry(own string) []string {
	if len(o.users) > 0 {
		return unique(o.users)
	}
	if own == defaultUser || o.noDefault {
		return nil
	}
	return []string{defaultUser}
}

func userTitle(spec string) string {
	if _, err := strconv.Atoi(spec); err == nil {
		return "uid " + spec
	}
	return "user " + spec
}

// profileRun is the column of a profile. As run does, it warns where the profile was proven for another image.
func profileRun(std files, img *store.Image, name string) (probeRun, error) {
	p, dir, err := profile.Named(name, "deckhand probe --profile DIR IMAGE")
	if err != nil {
		return probeRun{}, err
	}
	filter, err := p.FilterContent(dir)
	if err != nil {
		return probeRun{}, err
	}
	if id := p.ImageID; id != "" && id != img.ID.String() {
		_, _ = fmt.Fprintf(std.err, "deckhand: warning: the profile in %s was proven for another image: %s\n", name, id) // nothing to do when stderr is gone
	}
	setting := probe.Setting{Title: "profile " + name, Profile: p, Seccomp: filter}
	return probeRun{report.KindProfile, name, setting}, nil
}

// unique drops repetitions.
func unique(all []string) []string {
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// hints are what to type next: how to run the image with less, and how to make that last.
func (o *probeOptions) hints(r *report.Report) []string {
	var lines []string
	own := slices.IndexFunc(r.Columns, func(c report.Column) bool { return c.Kind == report.KindImage })
	root := r.Columns[own].Root()
	for i := range r.Columns {
		switch c := &r.Columns[i]; {
		case c.Kind == report.KindUser && root && !c.Root():
			lines = append(lines, "run it so:    deckhand run -u "+c.Asked+" "+r.Image)
		case c.Kind == report.KindProfile:
			lines = append(lines, "run it so:    deckhand run --profile "+c.Asked+" "+r.Image)
		}
	}
	switch {
	case len(o.profiles) > 0 || r.Columns[own].Tally().Allowed == 0:
	case root:
		lines = append(lines, "make it so:   deckhand harden "+r.Image+"  (and prove that the service still works)")
	default:
		lines = append(lines, "take the rest away:  deckhand harden "+r.Image+"  (and prove that the service still works)")
	}
	return lines
}
