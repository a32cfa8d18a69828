// A plain Go server of the calls that come back after an alert: net/http, database/sql, lib/pq,
// one transaction a call, prepared statements. The reference of the wave.
//
// Arguments: the address to listen on, and the database's URL.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	_ "github.com/lib/pq"
)

const connections = 16

var (
	db         *sql.DB
	statements = map[string]*sql.Stmt{}
	key        = []byte("a key of the reference")
)

var texts = map[string]string{
	"reader": `SELECT id, language, timezone FROM reader WHERE token_hash = $1`,
	"renew": `UPDATE device SET registered_at = now(), kind = 'token', locale = $3, app_version = $4
		WHERE address_hash = $1 AND gone_at IS NULL AND reader_id = $2 RETURNING id`,
	"lock": `WITH held AS MATERIALIZED (SELECT count(pg_advisory_xact_lock($1)) AS n)
		SELECT reader.id FROM held JOIN reader ON reader.id = $2 AND held.n > 0
		FOR NO KEY UPDATE OF reader`,
	"concerned": `SELECT id FROM device WHERE reader_id = $2 OR (address_hash = $1
		AND gone_at IS NULL) ORDER BY id FOR UPDATE`,
	"register": `INSERT INTO device (id, reader_id, provider, kind, address, address_hash)
		VALUES ($1, $2, $3, 'token', $4, $5) RETURNING id`,
	"topic": `SELECT id FROM topic WHERE path = $1`,
	"change": `UPDATE subscription SET least_urgency = $3, muted_until = NULL
		WHERE reader_id = $1 AND topic_id = $2 RETURNING topic_id`,
	"count": `SELECT count(*) FROM subscription WHERE reader_id = $1`,
	"follow": `INSERT INTO subscription (reader_id, topic_id, least_urgency) VALUES ($1, $2, $3)
		ON CONFLICT (reader_id, topic_id) DO UPDATE SET least_urgency = excluded.least_urgency`,
	"newreader": `WITH zone AS (INSERT INTO time_zone SELECT CAST($3 AS text) ON CONFLICT DO NOTHING)
		INSERT INTO reader (id, token_hash, language, timezone) VALUES ($1, $2, $4, $3)`,
	"mark": `WITH place AS (
		SELECT alert_id, shard_n, n, (length(states) + 7) / 8 AS half FROM batch
		WHERE alert_id = $1 AND shard_n = $2 AND n = $3 AND $4 < length(states))
		INSERT INTO receipt (alert_id, shard_n, n, marks)
		SELECT alert_id, shard_n, n,
			set_bit(decode(repeat('00', half * 2), 'hex'), $4::int + half * 8 * $5::int, 1) FROM place
		ON CONFLICT (alert_id, shard_n, n) DO UPDATE
		SET marks = set_bit(receipt.marks, $4::int + length(receipt.marks) * 4 * $5::int, 1)
		WHERE get_bit(receipt.marks, $4::int + length(receipt.marks) * 4 * $5::int) = 0`,
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func newID() int64 {
	var raw [8]byte
	_, err := rand.Read(raw[:])
	check(err)
	return int64(binary.BigEndian.Uint64(raw[:]) >> 1)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	check(json.NewEncoder(w).Encode(body))
}

// call opens a transaction, finds the reader, and commits before the answer.
func call(work func(*http.Request, *sql.Tx, int64) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tx, err := db.Begin()
		check(err)
		defer tx.Rollback()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		digest := sha256.Sum256([]byte(token))
		var id int64
		var language, zone string
		check(tx.Stmt(statements["reader"]).QueryRow(digest[:]).Scan(&id, &language, &zone))
		status, body := work(r, tx, id)
		check(tx.Commit())
		answer(w, status, body)
	}
}

func me(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(token))
	var id int64
	var language, zone string
	check(statements["reader"].QueryRow(digest[:]).Scan(&id, &language, &zone))
	answer(w, 200, map[string]any{"id": strconv.FormatInt(id, 10), "language": language,
		"timezone": zone, "quiet_hours": nil})
}

func device(r *http.Request, tx *sql.Tx, reader int64) (int, any) {
	var body struct{ Provider, Address, Locale, AppVersion string }
	check(json.NewDecoder(r.Body).Decode(&body))
	hash := sha256.Sum256([]byte(body.Provider + "\x00" + body.Address))
	var id int64
	err := tx.Stmt(statements["renew"]).QueryRow(hash[:], reader, body.Locale, body.AppVersion).Scan(&id)
	if err == nil {
		return 200, map[string]string{"id": strconv.FormatInt(id, 10)}
	}
	lock := int64(binary.BigEndian.Uint64(hash[:8]))
	check(tx.Stmt(statements["lock"]).QueryRow(lock, reader).Scan(&id))
	rows, err := tx.Stmt(statements["concerned"]).Query(hash[:], reader)
	check(err)
	for rows.Next() {
	}
	check(rows.Close())
	check(tx.Stmt(statements["register"]).QueryRow(newID(), reader, body.Provider, body.Address,
		hash[:]).Scan(&id))
	return 201, map[string]string{"id": strconv.FormatInt(id, 10)}
}

func follow(r *http.Request, tx *sql.Tx, reader int64) (int, any) {
	path := strings.TrimPrefix(r.URL.Path, "/api/me/subscriptions/")
	var topic, n int64
	check(tx.Stmt(statements["topic"]).QueryRow(path).Scan(&topic))
	shown := map[string]any{"topic": path, "least_urgency": "quiet", "muted_until": nil}
	if tx.Stmt(statements["change"]).QueryRow(reader, topic, 0).Scan(&n) == nil {
		return 200, shown
	}
	check(tx.Stmt(statements["count"]).QueryRow(reader).Scan(&n))
	_, err := tx.Stmt(statements["follow"]).Exec(reader, topic, 0)
	check(err)
	return 201, shown
}

func register(w http.ResponseWriter, r *http.Request) {
	var raw [32]byte
	_, err := rand.Read(raw[:])
	check(err)
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	digest := sha256.Sum256([]byte(token))
	id := newID()
	tx, err := db.Begin()
	check(err)
	defer tx.Rollback()
	_, err = tx.Stmt(statements["newreader"]).Exec(id, digest[:], "UTC", "en")
	check(err)
	check(tx.Commit())
	answer(w, 201, map[string]string{"id": strconv.FormatInt(id, 10), "token": token})
}

// receipt reads the place from the token; a keyed hash is computed as ours would be.
func receipt(w http.ResponseWriter, r *http.Request) {
	var body struct{ Receipt, Kind string }
	check(json.NewDecoder(r.Body).Decode(&body))
	raw, err := base64.URLEncoding.DecodeString(body.Receipt + "=")
	check(err)
	mac := hmac.New(sha256.New, key)
	mac.Write(raw[:16])
	mac.Sum(nil)
	half := 0
	if body.Kind == "opened" {
		half = 1
	}
	tx, err := db.Begin()
	check(err)
	defer tx.Rollback()
	_, err = tx.Stmt(statements["mark"]).Exec(int64(binary.BigEndian.Uint64(raw)),
		int64(binary.BigEndian.Uint32(raw[8:])), int64(binary.BigEndian.Uint16(raw[12:])),
		int64(binary.BigEndian.Uint16(raw[14:])), half)
	check(err)
	check(tx.Commit())
	w.WriteHeader(204)
}

func main() {
	var err error
	db, err = sql.Open("postgres", os.Args[2])
	check(err)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	for name, text := range texts {
		statements[name], err = db.Prepare(text)
		check(err)
	}
	http.HandleFunc("/api/me", me)
	http.HandleFunc("/api/me/devices", call(device))
	http.HandleFunc("/api/me/subscriptions/", call(follow))
	http.HandleFunc("/api/readers", register)
	http.HandleFunc("/api/receipts", receipt)
	server := &http.Server{Addr: os.Args[1], ReadTimeout: time.Minute}
	fmt.Println("listening")
	log.Fatal(server.ListenAndServe())
}
