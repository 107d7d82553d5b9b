package shell_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard/shell"
)

func TestWrites(t *testing.T) {
	const file = "/usr/local/bin/entry"
	tests := map[string]struct {
		line string
		want bool
	}{
		"redirection":         {"printf x > /usr/local/bin/entry", true},
		"appended":            {"echo x >> /usr/local/bin/entry", true},
		"in the directory":    {"cd /usr/local/bin && echo x > entry", true},
		"here-document":       {"cat > /usr/local/bin/entry <<EOF\nexec x\nEOF", true},
		"tee":                 {"echo x | tee /usr/local/bin/entry", true},
		"sed -i":              {"sed -i 's/gosu app//' /usr/local/bin/entry", true},
		"sed -i of all":       {"sed -i 's/gosu app//' /usr/local/bin/entr*", true},
		"sed":                 {"sed 's/gosu app//' /usr/local/bin/entry", false},
		"line ends":           {`sed -i 's/\r$//' /usr/local/bin/entry && chmod +x /usr/local/bin/entry`, false},
		"line ends, all":      {`sed -i -e 's/\r//g' /usr/local/bin/entry`, false},
		"line ends and more":  {`sed -i -e 's/a/b/' -e 's/\r$//' /usr/local/bin/entry`, true},
		"dos2unix":            {"dos2unix /usr/local/bin/entry", false},
		"mv":                  {"mv /tmp/other /usr/local/bin/entry", true},
		"mv into":             {"mv /tmp/entry /usr/local/bin/", true},
		"mv away":             {"mv /usr/local/bin/entry /tmp", true},
		"cp from":             {"cp /usr/local/bin/entry /tmp", false},
		"install -t":          {"install -t /usr/local/bin /tmp/entry", true},
		"rm":                  {"rm /usr/local/bin/entry", true},
		"link to it":          {"ln -s /usr/local/bin/entry /entry", false},
		"link in its place":   {"ln -sf /tmp/x /usr/local/bin/entry", true},
		"chmod":               {"chmod 755 /usr/local/bin/entry", false},
		"a program":           {"/usr/local/bin/entry --version", false},
		"unknown program":     {"frobnicate /usr/local/bin/entry", true},
		"another":             {"echo x > /usr/local/bin/other", false},
		"another of its name": {"echo x > /opt/entry", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := shell.Writes(tt.line, shell.Place{Dir: "/"}, file); got != tt.want {
				t.Errorf("Writes(%q) = %t", tt.line, got)
			}
			if got := shell.ArgvWrites([]string{"sh", "-c", tt.line}, shell.Place{Dir: "/"}, file); got != tt.want {
				t.Errorf("ArgvWrites(%q) = %t", tt.line, got)
			}
		})
	}
}
