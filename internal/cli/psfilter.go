package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// filters are ps's --filter by key: values of one key are alternatives, keys must all match.
type filters map[string][]string

// parseFilters reads key=value pairs.
func parseFilters(list []string) (filters, error) {
	f := filters{}
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: key=value is needed", s)
		}
		switch k {
		case "name", "id", "status", "ancestor", "label", "user":
		case "exited":
			if _, err := strconv.Atoi(v); err != nil {
				return nil, fmt.Errorf("invalid filter %q: an exit code is needed", s)
			}
		default:
			return nil, hint.With(fmt.Errorf("invalid filter '%s'", k), "one of:  name, id, status, ancestor, label, exited, user")
		}
		f[k] = append(f[k], v)
	}
	return f, nil
}

// wantsState reports whether a filter is about the state, so that stopped containers count as well.
func (f filters) wantsState() bool { return len(f["status"]) > 0 || len(f["exited"]) > 0 }

// has reports whether the container passes every filter.
func (f filters) has(c *store.Container, st store.State, cfg engine.Config) bool {
	for k, values := range f {
		if !slices.ContainsFunc(values, psFilter{k, c, st, cfg}.matches) {
			return false
		}
	}
	return true
}

// psFilter is one key applied to one container.
type psFilter struct {
	key    string
	record *store.Container
	state  store.State
	config engine.Config
}

// matches reports whether the container passes one filter.
func (f psFilter) matches(v string) bool {
	c, st := f.record, f.state
	switch f.key {
	case "name":
		return strings.Contains(c.Name, strings.TrimPrefix(v, "/"))
	case "id":
		return strings.HasPrefix(c.ID, v)
	case "status":
		return st.Status == v
	case "ancestor":
		return f.ancestor(v)
	case "exited":
		return st.Status == engine.StatusExited && strconv.Itoa(st.ExitCode) == v
	case "user":
		uid, _, _ := strings.Cut(st.User, ":")
		return uid == v || v == "root" && uid == "0"
	}
	return f.labelled(v)
}

// ancestor reports whether the container is of the image v: a reference or an id.
func (f psFilter) ancestor(v string) bool {
	id := strings.TrimPrefix(f.record.ImageID, "sha256:")
	return f.record.Image == v || strings.TrimSuffix(f.record.Image, ":latest") == v ||
		strings.HasPrefix(id, strings.TrimPrefix(v, "sha256:"))
}

// labelled reports whether the container has the label v: a name, or name=value.
func (f psFilter) labelled(v string) bool {
	name, want, hasValue := strings.Cut(v, "=")
	got, ok := f.config.Labels[name]
	return ok && (!hasValue || got == want)
}

// labelText is docker's form of labels.
func labelText(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, ",")
}
