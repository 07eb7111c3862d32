"""The ledger's tables, and the statements that change several of them at once."""

from __future__ import annotations

#: Each entry lifts the file by one version; a file of an older version is lifted when it is opened.
MIGRATIONS = (
    """
    CREATE TABLE requests (
        id          INTEGER PRIMARY KEY,
        device      TEXT NOT NULL,
        command     TEXT NOT NULL,
        request_id  TEXT,
        content     BLOB,             -- keyed digest of what is asked, so that a copy is known without keeping it
        params      BLOB,             -- what is asked; gone as soon as it is done
        state       TEXT NOT NULL,
        tried       TEXT NOT NULL DEFAULT '[]',
        accepted_at REAL NOT NULL,
        expires_at  REAL,
        status      INTEGER,
        code        TEXT,
        reply       BLOB,
        done_at     REAL
    );
    CREATE UNIQUE INDEX requests_by_id ON requests (device, command, request_id) WHERE request_id IS NOT NULL;
    CREATE INDEX requests_unfinished ON requests (id) WHERE state IN ('accepted', 'running');
    CREATE INDEX requests_by_age ON requests (accepted_at);
    CREATE TABLE answers (
        id          INTEGER PRIMARY KEY,
        request     INTEGER REFERENCES requests (id) ON DELETE CASCADE,
        digest      BLOB NOT NULL,    -- keyed digest of the message, so that its redelivery is known
        connection  INTEGER NOT NULL,
        mid         INTEGER NOT NULL,
        topic       TEXT NOT NULL,
        fallback    TEXT NOT NULL,    -- where it goes if the broker refuses the first topic
        correlation BLOB,
        refused     INTEGER NOT NULL,
        replayed    INTEGER NOT NULL DEFAULT 0,
        status      INTEGER,          -- of an answer that needed no request
        code        TEXT,
        reply       BLOB,
        made_at     REAL NOT NULL,
        owed        INTEGER NOT NULL, -- the reply is known and the broker has not confirmed it
        sent_at     REAL
    );
    CREATE INDEX answers_by_request ON answers (request);
    CREATE INDEX answers_by_digest ON answers (digest);
    CREATE INDEX answers_owed ON answers (id) WHERE owed = 1;
    CREATE INDEX answers_by_age ON answers (made_at);
    CREATE TABLE retained (digest BLOB PRIMARY KEY, seen_at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE debts (device TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (subject TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (subject, name)) WITHOUT ROWID;
    """,
    # A message that may be a broker's replay of an earlier one: which request that was.
    "ALTER TABLE requests ADD COLUMN suspect_of INTEGER;",
    # What is asked, in a table of its own, so that `scrub` can wipe its pages whole.
    """
    CREATE TABLE asked (request INTEGER PRIMARY KEY, params BLOB NOT NULL);
    INSERT INTO asked SELECT id, params FROM requests WHERE params IS NOT NULL;
    ALTER TABLE requests DROP COLUMN params;
    """,
    # Punches that the broker has not confirmed, and how far each terminal's log has been told.
    """
    CREATE TABLE punches (id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE places (device TEXT PRIMARY KEY, serial TEXT NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE traces (
        device  TEXT NOT NULL,
        number  INTEGER NOT NULL,
        moment  BLOB NOT NULL,        -- keyed digests: what was told is not kept
        key     BLOB NOT NULL,
        ordinal INTEGER NOT NULL,
        PRIMARY KEY (device, number)
    ) WITHOUT ROWID;
    """,
    # Groups: whose part a request is, and whether it may wait. What waits stands in a table of its own, for it may be
    # long, and `asked` is to be rewritten often.
    """
    ALTER TABLE requests ADD COLUMN parent INTEGER;
    ALTER TABLE requests ADD COLUMN catch_up INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX requests_by_parent ON requests (parent) WHERE parent IS NOT NULL;
    CREATE INDEX requests_waiting ON requests (device) WHERE state = 'waiting';
    CREATE TABLE parked (request INTEGER PRIMARY KEY, subject TEXT NOT NULL, params BLOB NOT NULL, reply BLOB NOT NULL);
    """,
    # A group's request that is carried out anew has parts older than itself: their order is no longer that of the ids.
    "ALTER TABLE requests ADD COLUMN place INTEGER;",
    # From when until when users are let in, and the events that tell who was blocked or unblocked for it: they wait for
    # the broker among the punches of their terminal, under the last levels of their topic.
    """
    CREATE TABLE validities (
        device      TEXT NOT NULL,
        user_id     TEXT NOT NULL,
        valid_from  TEXT,             -- the terminal's wall clock, as is valid_until; gone once it was carried out
        valid_until TEXT,
        PRIMARY KEY (device, user_id)
    ) WITHOUT ROWID;
    ALTER TABLE punches ADD COLUMN kind TEXT NOT NULL DEFAULT 'attendance/event';
    """,
    # The user_id of a row of a list, as it was asked for: the answer names it, and an error may not.
    "ALTER TABLE requests ADD COLUMN user_id TEXT;",
    # The language that a request has asked its answer to be in.
    "ALTER TABLE requests ADD COLUMN language TEXT;",
    # Documents as they came, until they are read; PINs may stand in them, so a table of its own, which is wiped whole.
    """
    CREATE TABLE unread (
        id               INTEGER PRIMARY KEY,
        topic            BLOB NOT NULL,
        payload          BLOB NOT NULL,
        qos              INTEGER NOT NULL,
        retain           INTEGER NOT NULL,
        dup              INTEGER NOT NULL,
        mid              INTEGER NOT NULL,
        connection       INTEGER NOT NULL,
        response_topic   BLOB,
        correlation_data BLOB
    );
    """,
)

#: For one connection: what is written for a request that comes, and for one that ends, as one statement each. Every
#: statement costs all threads several turns of the interpreter; those inside a trigger cost none.
TRIGGERS = """
    CREATE TEMP VIEW arrivals AS
    SELECT r.id, r.device, r.command, r.request_id, r.content, r.state, r.accepted_at, r.expires_at, r.suspect_of,
           r.parent, r.catch_up, r.user_id, r.language, r.status, r.code, r.reply, r.done_at, k.params, a.digest,
           a.connection, a.mid, a.topic, a.fallback, a.correlation, a.refused
    FROM requests r LEFT JOIN asked k ON k.request = r.id LEFT JOIN answers a ON a.request = r.id;

    CREATE TEMP TRIGGER arrival INSTEAD OF INSERT ON arrivals BEGIN
        INSERT INTO requests (id, device, command, request_id, content, state, accepted_at, expires_at, suspect_of,
                              parent, catch_up, user_id, language, status, code, reply, done_at)
        VALUES (NEW.id, NEW.device, NEW.command, NEW.request_id, NEW.content, NEW.state, NEW.accepted_at,
                NEW.expires_at, NEW.suspect_of, NEW.parent, NEW.catch_up, NEW.user_id, NEW.language, NEW.status,
                NEW.code, NEW.reply, NEW.done_at);
        INSERT INTO asked SELECT NEW.id, NEW.params WHERE NEW.state = 'accepted';
        INSERT INTO answers (request, digest, connection, mid, topic, fallback, correlation, refused, made_at, owed)
        SELECT NEW.id, NEW.digest, NEW.connection, NEW.mid, NEW.topic, NEW.fallback, NEW.correlation, NEW.refused,
               NEW.accepted_at, 0
        WHERE NEW.topic IS NOT NULL;
    END;

    CREATE TEMP VIEW endings AS
    SELECT r.id AS request, r.parent, r.status, r.code, r.reply, r.done_at, a.replayed, d.device AS pending_enable,
           0 AS keeps_tried
    FROM requests r LEFT JOIN answers a ON a.request = r.id LEFT JOIN debts d ON d.device = r.device;

    CREATE TEMP TRIGGER ending INSTEAD OF INSERT ON endings BEGIN
        -- What was prepared to take its place is not to be done any more.
        DELETE FROM asked WHERE request IN (SELECT r.id FROM requests w JOIN requests r ON r.parent = w.id
            WHERE w.id = NEW.request AND w.state IN ('accepted', 'running', 'waiting'));
        DELETE FROM requests WHERE parent = NEW.request AND EXISTS (SELECT 1 FROM requests w
            WHERE w.id = NEW.request AND w.state IN ('accepted', 'running', 'waiting'));
        UPDATE requests SET state = 'done', tried = iif(NEW.keeps_tried, tried, '[]'), status = NEW.status,
                            code = NEW.code, reply = NEW.reply, done_at = NEW.done_at
        WHERE id = NEW.request AND reply IS NULL;
        DELETE FROM asked WHERE request = NEW.request;
        DELETE FROM parked WHERE request = NEW.request;
        -- A document that the terminal had no room for, or that was refused for it otherwise, is tried again when it
        -- comes again: the cause may be gone.
        DELETE FROM retained WHERE NEW.status >= 400 AND digest IN (SELECT a.digest FROM answers a
            JOIN requests w ON w.id = a.request
            WHERE w.id = NEW.request AND w.command = 'users/desired' AND w.request_id NOT LIKE '%/%');
        UPDATE requests SET request_id = NULL WHERE NEW.status >= 400 AND id = NEW.request AND command = 'users/desired'
        AND request_id NOT LIKE '%/%';
        -- A group's answer that is still to come will say it; unless an earlier one has said that it waits.
        DELETE FROM answers WHERE request = NEW.request AND NEW.request > NEW.parent
        AND EXISTS (SELECT 1 FROM requests WHERE id = NEW.parent AND state = 'split');
        UPDATE answers SET owed = 1, replayed = max(replayed, NEW.replayed)
        WHERE request = NEW.request AND sent_at IS NULL;
        INSERT OR IGNORE INTO debts SELECT NEW.pending_enable, NEW.done_at WHERE NEW.pending_enable IS NOT NULL;
    END;

    CREATE TEMP TABLE readings (command TEXT PRIMARY KEY) WITHOUT ROWID;

    -- An answer that only tells what was read is not remembered once the broker has confirmed each copy of it.
    CREATE TEMP TRIGGER confirmation AFTER UPDATE OF sent_at ON answers BEGIN
        UPDATE requests SET reply = x''
        WHERE (id = NEW.request OR parent = NEW.request) AND reply IS NOT NULL
        AND command IN (SELECT command FROM readings)
        AND NOT EXISTS (SELECT 1 FROM answers WHERE request = NEW.request AND sent_at IS NULL);
        -- Comparisons with a document come again and again, and none is ever asked for anew: nothing stays of one, nor
        -- of the changes that a repair was made of, unless one of them waits for its terminal.
        DELETE FROM requests WHERE id IN (
            SELECT r.id FROM requests c JOIN requests r ON r.id = c.id OR r.parent = c.id
            WHERE c.id = NEW.request AND c.command = 'users/desired' AND c.request_id LIKE '%/%'
            AND NOT EXISTS (SELECT 1 FROM requests r LEFT JOIN answers a ON a.request = r.id
                            WHERE (r.id = c.id OR r.parent = c.id)
                            AND (r.reply IS NULL OR a.id IS NOT NULL AND a.sent_at IS NULL)));
    END;
"""

#: Of a request: the broker has its answers. A group's request is remembered whole, as long as anything of it is open.
ENDED = (
    "NOT EXISTS (SELECT 1 FROM answers a WHERE a.request = requests.id AND a.sent_at IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM requests m WHERE m.parent = coalesce(requests.parent, requests.id)"
    " AND m.reply IS NULL)"
)

#: A request, what is asked while it is `accepted`, and, with a topic, where it is to be answered.
ARRIVE = "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#: Its answer is owed, what is asked is forgotten, and whether its device may still be disabled is kept with that.
END = "INSERT INTO endings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
#: Answers that only tell what was read, and that the broker has confirmed.
FORGET_READ = (
    "UPDATE requests SET reply = x'' WHERE state IN ('done', 'sent') AND reply != x''"
    " AND command IN (SELECT command FROM readings) AND NOT EXISTS"
    " (SELECT 1 FROM answers WHERE request = coalesce(requests.parent, requests.id) AND sent_at IS NULL)"
)
