package compose

import "testing"

func TestHostPath(t *testing.T) {
	tests := map[string]struct{ dir, path, want string }{
		"the project's":                {"/root/app", "./data", "./data"},
		"the project itself":           {"/usr/src/app", ".", "."},
		"the project's, absolute":      {"/root/app", "/root/app/data/", "./data"},
		"beside the project":           {"/root/app", "../data", "/root/data"},
		"a longer name":                {"/root/app", "/root/application", "/root/application"},
		"above the project":            {"/root/app", "..", "/root"},
		"out of the project, and back": {"/root/app", "../app/x", "./x"},
		"a home is no project":         {"/home/me", ".", "/home/me"},
		"/etc is none":                 {"/etc", "./shadow", "/etc/shadow"},
		"the root directory":           {"/", "./etc", "/etc"},
		"somewhere else":               {"/root/app", "/etc/../etc/ssl", "/etc/ssl"},
		"a home":                       {"/root/app", "~/x", "~/x"},
		"nobody knows where":           {"", "./x", "./x"},
		"on Windows":                   {"/root/app", `C:\x`, `C:\x`},
	}
	for name, tt := range tests {
		if got := (&file{dir: tt.dir}).hostPath(tt.path); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
