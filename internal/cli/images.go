package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// imagesOptions are the flags of images.
type imagesOptions struct {
	all, quiet, noTrunc, digests bool
	filters                      []string
	format                       string
}

// AddFlags adds docker's flags.
func (o *imagesOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.all, "all", "a", false, "show all images (deckhand keeps no intermediate ones)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids only")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "show ids in full length")
	f.BoolVar(&o.digests, "digests", false, "show digests")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "show only images with `KEY=VALUE`: dangling, reference, label, before, since")
	f.StringVar(&o.format, "format", "", "`table`, json, \"table TEMPLATE\" or a Go template")
}

func newImages(a *app) *cobra.Command {
	var o imagesOptions
	cmd := &cobra.Command{
		Use:   "images [OPTIONS] [REPOSITORY[:TAG]]",
		Short: "List images, and the user that each runs as",
		Args:  argCount(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImages(cmd.Context(), a, &o, args)
		},
		ValidArgsFunction: a.completeOneImage,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runImages(ctx context.Context, a *app, o *imagesOptions, args []string) error {
	filters := o.filters
	if len(args) > 0 {
		filters = append(filters, "reference="+args[0])
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	images, err := s.Images(ctx)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	keep, err := imageFilter(ctx, s, filters)
	if err != nil {
		return err
	}
	images = slices.DeleteFunc(images, func(i *store.Image) bool { return !keep(i) })
	slices.SortStableFunc(images, newerFirst)
	now := time.Now() //nolint:forbidigo // ages are shown as of now
	rows := make([]map[string]string, 0, len(images))
	for _, img := range images {
		rows = append(rows, imageRow(s, img, o.noTrunc, now))
	}
	l := listing{format: o.format, quiet: o.quiet, id: "ID", table: []string{"Repository", "Tag", "ID", "CreatedSince", "Size", "User"}}
	if o.digests {
		l.table = slices.Insert(l.table, 2, "Digest")
	}
	if o.quiet {
		rows = distinctRows(rows)
	}
	return l.write(a.out, rows)
}

// distinctRows keeps one row an id.
func distinctRows(rows []map[string]string) []map[string]string {
	seen := map[string]bool{}
	return slices.DeleteFunc(rows, func(r map[string]string) bool {
		defer func() { seen[r["ID"]] = true }()
		return seen[r["ID"]]
	})
}

// newerFirst orders by date of creation, then by name.
func newerFirst(x, y *store.Image) int {
	if c := createdAt(y).Compare(createdAt(x)); c != 0 {
		return c
	}
	return strings.Compare(x.Ref.Familiar(), y.Ref.Familiar())
}

func createdAt(img *store.Image) time.Time {
	if img.Config.Created == nil {
		return time.Time{}
	}
	return *img.Config.Created
}

// imageRow is an image under docker's names, and User.
func imageRow(s *store.Store, img *store.Image, noTrunc bool, now time.Time) map[string]string {
	id := shortDigest(img.ID)
	if noTrunc {
		id = img.ID.String()
	}
	repo, tag := none, none
	if img.Ref.Repository != "" {
		repo = repositoryName(img)
		if img.Ref.Tag != "" {
			tag = img.Ref.Tag
		}
	}
	created := createdAt(img)
	at := "N/A"
	if !created.IsZero() {
		at = created.Local().Format("2006-01-02 15:04:05 -0700 MST")
	}
	size := ui.HumanSize(imageSize(s, img))
	return map[string]string{
		"Repository": repo, "Tag": tag, "ID": id, "Digest": img.Target.Digest.String(),
		"CreatedSince": ui.Ago(created, now), "CreatedAt": at, "Size": size, "VirtualSize": size,
		"SharedSize": "N/A", "UniqueSize": "N/A", "Containers": "N/A", "User": shownUser(img.Config.Config.User),
	}
}

// repositoryName is the familiar name without the tag.
func repositoryName(img *store.Image) string {
	r := img.Ref
	r.Tag, r.Digest = "", ""
	return strings.TrimSuffix(r.Familiar(), ":latest")
}

// imageSize is the size of the image's layers and configuration in bytes.
func imageSize(_ *store.Store, img *store.Image) int64 {
	n := img.Manifest.Config.Size
	for _, l := range img.Manifest.Layers {
		n += l.Size
	}
	return n
}

// shownUser is the image's user; root, which nobody should overlook, is marked.
func shownUser(user string) string {
	if !isRootName(user) {
		return user
	}
	if user == "" || user == "root" {
		return "root (!)"
	}
	return user + " (root!)"
}

// isRootName reports whether docker's USER syntax names uid 0 without looking into /etc/passwd.
func isRootName(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	if name == "" || name == "root" {
		return true
	}
	n, err := strconv.Atoi(name)
	return err == nil && n == 0
}

// imageFilter makes a predicate of --filter's: different keys must all hold, of one key any value (of label, all).
func imageFilter(ctx context.Context, s *store.Store, filters []string) (func(*store.Image) bool, error) {
	var all []func(*store.Image) bool
	var references []string
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, hint.With(fmt.Errorf("invalid argument %q for --filter: it is KEY=VALUE", f), "such as:  --filter dangling=true")
		}
		if key == "reference" {
			references = append(references, value)
			continue
		}
		p, err := oneFilter(ctx, s, key, value)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if references != nil {
		all = append(all, func(i *store.Image) bool {
			return slices.ContainsFunc(references, func(pattern string) bool { return matchReference(i, pattern) })
		})
	}
	return func(i *store.Image) bool {
		return !slices.ContainsFunc(all, func(p func(*store.Image) bool) bool { return !p(i) })
	}, nil
}

func oneFilter(ctx context.Context, s *store.Store, key, value string) (func(*store.Image) bool, error) {
	switch key {
	case "dangling":
		want, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("invalid filter 'dangling=%s': true or false", value)
		}
		return func(i *store.Image) bool { return (i.Ref.Repository == "") == want }, nil
	case "label":
		k, v, hasValue := strings.Cut(value, "=")
		return func(i *store.Image) bool {
			have, ok := i.Config.Config.Labels[k]
			return ok && (!hasValue || have == v)
		}, nil
	case "before", "since":
		img, err := s.Image(ctx, value)
		if err != nil {
			return nil, noSuchImage(err, value)
		}
		than := createdAt(img)
		return func(i *store.Image) bool {
			if key == "before" {
				return createdAt(i).Before(than)
			}
			return createdAt(i).After(than)
		}, nil
	}
	return nil, hint.With(fmt.Errorf("invalid filter %q", key), "there are:  dangling, reference, label, before, since")
}

// matchReference matches a familiar name, with or without its tag, against a shell pattern.
func matchReference(img *store.Image, pattern string) bool {
	if img.Ref.Repository == "" {
		return false
	}
	repo := repositoryName(img)
	for _, name := range []string{img.Ref.Familiar(), repo, repo + ":" + img.Ref.Tag, img.Ref.String(), img.Ref.Name()} {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}
