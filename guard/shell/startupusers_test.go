package shell_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// TestScriptDropUsers holds who users are where the script begins, and what it makes of them itself.
func TestScriptDropUsers(t *testing.T) {
	db := users.Parse([]byte("root:x:0:0::/:\ntoor:x:0:0::/:\napp:x:1000:1000::/:\n"), nil)
	to := func(least, most uint32, certain bool) *guard.Drop {
		return &guard.Drop{By: "gosu", Spec: "app", To: guard.ID{Least: least, Most: most}, Certain: certain}
	}
	tests := map[string]struct {
		script string
		want   *guard.Drop
	}{
		"as it is":        {"exec gosu app x", to(1000, 1000, true)},
		"another root":    {"exec gosu toor x", nil},
		"another id":      {"usermod -o -u 1500 app; exec gosu app x", to(1500, 1500, true)},
		"made root":       {"usermod -o -u 0 app; exec gosu app x", nil},
		"made root maybe": {"[ -e /x ] && usermod -o -u 0 app; exec gosu app x", to(0, 1000, false)},
		"any id":          {"usermod -o -u \"$ID\" app; exec gosu app x", to(0, guard.MaxID, false)},
		"any other id":    {"usermod -u \"$ID\" app; exec gosu app x", to(1, guard.MaxID, true)},
		"replaced":        {"sed -i s/1000/0/ /etc/passwd; exec gosu app x", to(0, guard.MaxID, false)},
		"made anew":       {"deluser app; echo app:x:0:0 >> /etc/passwd; exec gosu app x", nil},
		"another is made": {"useradd -o -u 0 b; exec gosu app x", to(1000, 1000, true)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.Image{User: db.After}.ScriptDrop([]byte(tt.script), nil)); diff != "" {
				t.Errorf("ScriptDrop (-want +got):\n%s", diff)
			}
		})
	}
	if got := shell.ScriptDrop([]byte("usermod -o -u \"$ID\" app; exec gosu app x"), nil); got == nil || got.Certain {
		t.Errorf("in an unknown image: %+v", got)
	}
}
