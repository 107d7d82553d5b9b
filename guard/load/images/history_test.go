package images_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
)

func TestHistory(t *testing.T) {
	curl := []guard.Step{{Manager: "apt-get", Installs: []string{"curl"}}}
	given := func(path, owner string) []guard.Step {
		return []guard.Step{{Gives: []guard.Ownership{{Path: path, Owner: owner, Recursive: true, Copy: true}}}}
	}
	for name, tc := range map[string]struct {
		created []string
		want    []guard.Step
		args    map[string]string
	}{
		"buildkit":             {[]string{"RUN /bin/sh -c apt-get install -y curl # buildkit"}, curl, nil},
		"buildkit, arguments":  {[]string{"RUN |2 A=1 B=two words /bin/sh -c apt-get install -y curl # buildkit"}, curl, map[string]string{"A": "1", "B": "two words"}},
		"buildkit, exec form":  {[]string{"RUN apt-get install -y curl # buildkit"}, curl, nil},
		"buildkit, bash":       {[]string{"RUN /bin/bash -o pipefail -c apt-get install -y curl # buildkit"}, curl, nil},
		"exec, arguments":      {[]string{"RUN |1 A=1 apt-get install -y curl # buildkit"}, curl, map[string]string{"A": "1"}},
		"docker's old builder": {[]string{"/bin/sh -c apt-get install -y curl"}, curl, nil},
		"old, arguments":       {[]string{"|1 A=1 /bin/sh -c apt-get install -y curl"}, curl, map[string]string{"A": "1"}},
		"argument of a value":  {[]string{"|1 PKG=curl /bin/sh -c apt-get install -y $PKG"}, curl, map[string]string{"PKG": "curl"}},
		"kaniko":               {[]string{"RUN apt-get install -y curl"}, curl, nil},
		"ARG":                  {[]string{"ARG TOKEN=abc", "ARG OTHER"}, nil, map[string]string{"TOKEN": "abc"}},
		"ARG, old":             {[]string{"/bin/sh -c #(nop)  ARG TOKEN=abc"}, nil, map[string]string{"TOKEN": "abc"}},
		"copy":                 {[]string{"COPY --chown=app:app . /srv # buildkit"}, given("/srv", "app:app"), nil},
		"copy, flags":          {[]string{"COPY --link --chown=1000 --chmod=755 a b /srv/ # buildkit"}, given("/srv", "1000"), nil},
		"copy below":           {[]string{"WORKDIR /srv", "WORKDIR app", "COPY --chown=app . ./x # buildkit"}, given("/srv/app/x", "app"), nil},
		"copy, JSON":           {[]string{`COPY --chown=app ["a b", "/srv"]`}, given("/srv", "app"), nil},
		"copy for root":        {[]string{"COPY --chown=root:root . /srv # buildkit", "COPY --chown=0 . /srv", "COPY . /srv"}, nil, nil},
		"copy of nothing":      {[]string{"COPY --chown=app", "COPY --chown=app x", "COPY"}, nil, nil},
		"other instructions":   {[]string{`CMD ["/bin/sh"]`, "/bin/sh -c #(nop)  CMD [\"bash\"]", "USER app", "jib-maven-plugin:3.4", "", "|", "|x", "RUN", "RUN |9"}, nil, nil},
		"a script":             {[]string{"RUN /bin/sh /setup.sh # buildkit"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			img := image(known(), false, v1.ImageConfig{})
			for _, c := range tc.created {
				img.Config.History = append(img.Config.History, v1.History{CreatedBy: c})
			}
			s, err := images.Subject(t.Context(), "x", img)
			if err != nil {
				t.Fatal(err)
			}
			at := guard.Location{Path: "x"}
			for i := range tc.want {
				tc.want[i].Where = at
			}
			if d := cmp.Diff(tc.want, s.Steps); d != "" {
				t.Error(d)
			}
			args := map[string]string{}
			for _, v := range s.Variables {
				if v.Arg {
					args[v.Name] = v.Value
				}
			}
			if len(tc.args) == 0 {
				tc.args = map[string]string{}
			}
			if d := cmp.Diff(tc.args, args); d != "" {
				t.Error(d)
			}
		})
	}
}

// FuzzHistory reads anything as a history.
func FuzzHistory(f *testing.F) {
	f.Add("RUN |2 A=1 B=two words /bin/sh -c apt-get install -y curl # buildkit")
	f.Add("COPY --chown=app:app [\"a\", \"b\"]")
	f.Add("|999999999 A= /bin/sh -c #(nop)")
	f.Fuzz(func(t *testing.T, created string) {
		img := image(known(), false, v1.ImageConfig{Env: []string{created}, WorkingDir: created, Entrypoint: []string{created}})
		img.Config.History = []v1.History{{CreatedBy: created}, {CreatedBy: "WORKDIR " + created}, {CreatedBy: "COPY --chown=a x " + created}}
		if _, err := images.Subject(t.Context(), "x", img); err != nil {
			t.Error(err)
		}
	})
}
