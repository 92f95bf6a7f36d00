BEGIN TRANSACTION;
CREATE TABLE activities (
	pk INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	uri TEXT NOT NULL, 
	type VARCHAR NOT NULL, 
	object_uri TEXT NOT NULL, 
	post_pk INTEGER, 
	body BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_activities PRIMARY KEY (pk), 
	CONSTRAINT fk_activities_post_pk FOREIGN KEY(post_pk) REFERENCES posts (pk), 
	CONSTRAINT fk_activities_site FOREIGN KEY(site) REFERENCES sites ("key")
);
INSERT INTO "activities" VALUES(1,'cafe','https://cafe.example/ap/cafe/posts/p1#create','Create','https://cafe.example/ap/cafe/posts/p1',1,X'437265617465','2026-03-01 12:00:00.000000');
INSERT INTO "activities" VALUES(2,'cafe','https://cafe.example/ap/cafe/posts/p1#update','Update','https://cafe.example/ap/cafe/posts/p1',1,X'557064617465','2026-03-01 12:00:00.000000');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	activity_pk INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	inbox TEXT NOT NULL, 
	host VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	object_uri TEXT NOT NULL, 
	state VARCHAR DEFAULT 'pending' NOT NULL, 
	lane VARCHAR DEFAULT 'fast' NOT NULL, 
	due_at DATETIME NOT NULL, 
	leased BOOLEAN DEFAULT 0 NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	losses INTEGER DEFAULT 0 NOT NULL, 
	first_attempt_at DATETIME, 
	last_attempt_at DATETIME, 
	settled_at DATETIME, 
	status INTEGER, 
	reason TEXT, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_activity_pk FOREIGN KEY(activity_pk) REFERENCES activities (pk), 
	CONSTRAINT uq_deliveries_activity_pk_inbox UNIQUE (activity_pk, inbox)
);
INSERT INTO "deliveries" VALUES(1,1,'cafe','https://one.example/inbox','one.example','Create','https://cafe.example/ap/cafe/posts/p1','delivered','fast','2026-03-01 12:01:00.000000',0,1,0,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000',202,NULL);
INSERT INTO "deliveries" VALUES(2,1,'cafe','https://two.example/users/dora/inbox','two.example','Create','https://cafe.example/ap/cafe/posts/p1','dropped','fast','2026-03-01 12:01:00.000000',0,1,0,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000',422,'422: no');
INSERT INTO "deliveries" VALUES(3,2,'cafe','https://one.example/inbox','one.example','Update','https://cafe.example/ap/cafe/posts/p1','pending','fast','2026-03-01 12:00:00.000000',0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(4,2,'cafe','https://two.example/users/dora/inbox','two.example','Update','https://cafe.example/ap/cafe/posts/p1','pending','fast','2026-03-01 12:00:00.000000',0,0,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE entry_keys (
	site VARCHAR NOT NULL, 
	"key" TEXT NOT NULL, 
	post_pk INTEGER NOT NULL, 
	CONSTRAINT pk_entry_keys PRIMARY KEY (site, "key"), 
	CONSTRAINT fk_entry_keys_post_pk FOREIGN KEY(post_pk) REFERENCES posts (pk), 
	CONSTRAINT fk_entry_keys_site FOREIGN KEY(site) REFERENCES sites ("key")
);
INSERT INTO "entry_keys" VALUES('cafe','guid:p1',1);
INSERT INTO "entry_keys" VALUES('cafe','guid:p2',2);
INSERT INTO "entry_keys" VALUES('cafe','guid:p3',3);
CREATE TABLE followers (
	id INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	actor_id TEXT NOT NULL, 
	inbox TEXT NOT NULL, 
	shared_inbox TEXT, 
	host VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	follow_id TEXT, 
	followed_at DATETIME NOT NULL, 
	CONSTRAINT pk_followers PRIMARY KEY (id), 
	CONSTRAINT fk_followers_site FOREIGN KEY(site) REFERENCES sites ("key"), 
	CONSTRAINT uq_followers_site_actor_id UNIQUE (site, actor_id)
);
INSERT INTO "followers" VALUES(1,'cafe','https://one.example/users/ann','https://one.example/users/ann/inbox','https://one.example/inbox','one.example','accepted','https://one.example/users/ann#follow','2026-03-01 12:00:00.000000');
INSERT INTO "followers" VALUES(2,'cafe','https://one.example/users/ben','https://one.example/users/ben/inbox','https://one.example/inbox','one.example','accepted','https://one.example/users/ben#follow','2026-03-01 12:00:00.000000');
INSERT INTO "followers" VALUES(3,'cafe','https://two.example/users/dora','https://two.example/users/dora/inbox',NULL,'two.example','accepted','https://two.example/users/dora#follow','2026-03-01 12:00:00.000000');
INSERT INTO "followers" VALUES(4,'cafe','https://three.example/users/finn','https://three.example/users/finn/inbox','https://three.example/inbox','three.example','pending','https://three.example/users/finn#follow','2026-03-01 12:00:00.000000');
CREATE TABLE heartbeats (
	role VARCHAR NOT NULL, 
	beat_at DATETIME NOT NULL, 
	detail TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_heartbeats PRIMARY KEY (role)
);
INSERT INTO "heartbeats" VALUES('worker','2026-03-01 12:00:00.000000','pid 1');
CREATE TABLE holds (
	id INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	source_id INTEGER NOT NULL, 
	post_pk INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	entry TEXT, 
	content_hash VARCHAR, 
	text_hash VARCHAR, 
	held_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	decision VARCHAR, 
	CONSTRAINT pk_holds PRIMARY KEY (id), 
	CONSTRAINT fk_holds_post_pk FOREIGN KEY(post_pk) REFERENCES posts (pk), 
	CONSTRAINT fk_holds_site FOREIGN KEY(site) REFERENCES sites ("key"), 
	CONSTRAINT fk_holds_source_id FOREIGN KEY(source_id) REFERENCES sources (id)
);
CREATE TABLE ignored (
	type VARCHAR NOT NULL, 
	count INTEGER NOT NULL, 
	last_at DATETIME NOT NULL, 
	CONSTRAINT pk_ignored PRIMARY KEY (type)
);
INSERT INTO "ignored" VALUES('View',1,'2026-03-01 12:00:00.000000');
CREATE TABLE inbox (
	id INTEGER NOT NULL, 
	signature_hash VARCHAR NOT NULL, 
	activity_id TEXT, 
	type VARCHAR NOT NULL, 
	actor_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	host VARCHAR NOT NULL, 
	verified BOOLEAN NOT NULL, 
	request TEXT NOT NULL, 
	body BLOB NOT NULL, 
	state VARCHAR DEFAULT 'pending' NOT NULL, 
	due_at DATETIME NOT NULL, 
	leased BOOLEAN DEFAULT 0 NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	received_at DATETIME NOT NULL, 
	settled_at DATETIME, 
	reason TEXT, 
	CONSTRAINT pk_inbox PRIMARY KEY (id), 
	CONSTRAINT uq_inbox_signature_hash UNIQUE (signature_hash)
);
INSERT INTO "inbox" VALUES(1,'hash','https://one.example/users/ann/2','Like','https://one.example/users/ann','https://one.example/users/ann#main-key','one.example',1,'{"method":"POST"}',X'7B7D','pending','2026-03-01 12:00:00.000000',0,0,'2026-03-01 12:00:00.000000',NULL,NULL);
CREATE TABLE interactions (
	id INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	post_pk INTEGER, 
	kind VARCHAR NOT NULL, 
	actor_id TEXT NOT NULL, 
	object_key TEXT NOT NULL, 
	activity_id TEXT, 
	in_reply_to TEXT, 
	content TEXT, 
	emoji VARCHAR, 
	url TEXT, 
	public BOOLEAN NOT NULL, 
	published_at DATETIME, 
	received_at DATETIME NOT NULL, stamp VARCHAR, 
	CONSTRAINT pk_interactions PRIMARY KEY (id), 
	CONSTRAINT fk_interactions_post_pk FOREIGN KEY(post_pk) REFERENCES posts (pk), 
	CONSTRAINT fk_interactions_site FOREIGN KEY(site) REFERENCES sites ("key"), 
	CONSTRAINT uq_interactions_kind_actor_id_object_key UNIQUE (kind, actor_id, object_key)
);
INSERT INTO "interactions" VALUES(1,'cafe',1,'reply','https://one.example/users/ann','https://one.example/users/ann/1',NULL,NULL,'<p>Hm!</p>',NULL,NULL,1,NULL,'2026-03-01 12:00:00.000000',NULL);
CREATE TABLE keys (
	owner VARCHAR NOT NULL, 
	algorithm VARCHAR NOT NULL, 
	private_pem TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_keys PRIMARY KEY (owner, algorithm)
);
INSERT INTO "keys" VALUES('','rsa','rsa key of the instance','2026-03-01 12:00:00.000000');
INSERT INTO "keys" VALUES('','ed25519','ed25519 key of the instance','2026-03-01 12:00:00.000000');
INSERT INTO "keys" VALUES('cafe','rsa','rsa key of cafe','2026-03-01 12:00:00.000000');
INSERT INTO "keys" VALUES('cafe','ed25519','ed25519 key of cafe','2026-03-01 12:00:00.000000');
INSERT INTO "keys" VALUES('bakery','rsa','rsa key of bakery','2026-03-01 12:00:00.000000');
INSERT INTO "keys" VALUES('bakery','ed25519','ed25519 key of bakery','2026-03-01 12:00:00.000000');
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('base_url','https://cafe.example');
INSERT INTO "meta" VALUES('revision','1');
CREATE TABLE peers (
	host VARCHAR NOT NULL, 
	scheme VARCHAR, 
	scheme_at DATETIME, 
	failures INTEGER DEFAULT 0 NOT NULL, 
	open_until DATETIME, 
	failing_since DATETIME, 
	last_success_at DATETIME, 
	last_failure_at DATETIME, 
	error TEXT, 
	CONSTRAINT pk_peers PRIMARY KEY (host)
);
INSERT INTO "peers" VALUES('two.example',NULL,NULL,2,NULL,'2026-03-01 12:00:00.000000',NULL,NULL,'timed out');
CREATE TABLE pictures (
	url TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	media_type VARCHAR, 
	width INTEGER, 
	height INTEGER, 
	blurhash VARCHAR, 
	file VARCHAR, 
	error TEXT, 
	looked_at DATETIME NOT NULL, address TEXT, alt TEXT, 
	CONSTRAINT pk_pictures PRIMARY KEY (url)
);
CREATE TABLE "posts" (
	pk INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	generation INTEGER DEFAULT 1 NOT NULL, 
	identity TEXT NOT NULL, 
	source_id INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	page_url TEXT, 
	entry TEXT NOT NULL, 
	note TEXT NOT NULL, 
	content_hash VARCHAR NOT NULL, 
	published_at DATETIME NOT NULL, 
	updated_at DATETIME, 
	deleted_at DATETIME, 
	first_seen_at DATETIME NOT NULL, 
	last_seen_at DATETIME NOT NULL, 
	text_hash VARCHAR DEFAULT '' NOT NULL, 
	sent_hash VARCHAR, 
	edit_due_at DATETIME, 
	updates_sent INTEGER DEFAULT 0 NOT NULL, 
	update_sent_at DATETIME, 
	missing_since DATETIME, 
	check_at DATETIME, 
	misses INTEGER DEFAULT 0 NOT NULL, 
	pinned BOOLEAN DEFAULT 0 NOT NULL, look_at DATETIME, 
	CONSTRAINT pk_posts PRIMARY KEY (pk), 
	CONSTRAINT uq_posts_site_id UNIQUE (site, id), 
	CONSTRAINT fk_posts_source_id FOREIGN KEY(source_id) REFERENCES sources (id), 
	CONSTRAINT fk_posts_site FOREIGN KEY(site) REFERENCES sites ("key")
);
INSERT INTO "posts" VALUES(1,'cafe','p1',1,'guid:p1',1,'published','https://cafe.example/p1/','{"title":"p1"}','{"content":"<p>Grüße ☕</p>"}','hash of p1','2026-03-01 12:00:00.000000',NULL,NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','',NULL,NULL,0,NULL,NULL,NULL,0,0,NULL);
INSERT INTO "posts" VALUES(2,'cafe','p2',1,'guid:p2',1,'deleted','https://cafe.example/p2/','{"title":"p2"}','{"type":"Note","content":"<p>p2</p>"}','hash of p2','2026-03-01 12:00:00.000000',NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','',NULL,NULL,0,NULL,NULL,NULL,0,0,NULL);
INSERT INTO "posts" VALUES(3,'cafe','p3',1,'guid:p3',1,'baseline','https://cafe.example/p3/','{"title":"p3"}','{"type":"Note","content":"<p>p3</p>"}','hash of p3','2026-03-01 12:00:00.000000',NULL,NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000','',NULL,NULL,0,NULL,NULL,NULL,0,0,NULL);
CREATE TABLE pushes (
	id INTEGER NOT NULL, 
	source_id INTEGER NOT NULL, 
	content_type TEXT, 
	body BLOB NOT NULL, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT pk_pushes PRIMARY KEY (id), 
	CONSTRAINT fk_pushes_source_id FOREIGN KEY(source_id) REFERENCES sources (id)
);
CREATE TABLE remote_actors (
	id TEXT NOT NULL, 
	type VARCHAR NOT NULL, 
	handle VARCHAR NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	url TEXT, 
	icon TEXT, 
	inbox TEXT NOT NULL, 
	shared_inbox TEXT, 
	host VARCHAR NOT NULL, 
	moved_to TEXT, 
	also_known_as TEXT, 
	fetched_at DATETIME NOT NULL, 
	moved_at DATETIME, 
	due_at DATETIME, 
	why_due VARCHAR, 
	leased BOOLEAN DEFAULT 0 NOT NULL, 
	misses INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_remote_actors PRIMARY KEY (id)
);
INSERT INTO "remote_actors" VALUES('https://one.example/users/ann','Person','@ann@one.example','',NULL,NULL,'https://one.example/users/ann/inbox','https://one.example/inbox','one.example',NULL,'[]','2026-03-01 12:00:00.000000',NULL,NULL,NULL,0,0);
CREATE TABLE remote_keys (
	id TEXT NOT NULL, 
	actor_id TEXT, 
	pem TEXT, 
	error TEXT, 
	fetched_at DATETIME NOT NULL, 
	retry_at DATETIME NOT NULL, 
	CONSTRAINT pk_remote_keys PRIMARY KEY (id)
);
INSERT INTO "remote_keys" VALUES('https://one.example/users/ann#main-key','https://one.example/users/ann','PEM',NULL,'2026-03-01 12:00:00.000000','2026-03-02 12:00:00.000000');
CREATE TABLE seen (
	activity_id TEXT NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_seen PRIMARY KEY (activity_id)
);
INSERT INTO "seen" VALUES('https://one.example/users/ann/1','2026-03-01 12:00:00.000000');
CREATE TABLE sites (
	"key" VARCHAR NOT NULL, 
	handle VARCHAR NOT NULL, 
	profile_hash VARCHAR, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_sites PRIMARY KEY ("key"), 
	CONSTRAINT uq_sites_handle UNIQUE (handle)
);
INSERT INTO "sites" VALUES('cafe','@cafe@cafe.example',NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000');
INSERT INTO "sites" VALUES('bakery','@bakery@cafe.example',NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000');
CREATE TABLE sources (
	id INTEGER NOT NULL, 
	site VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	location TEXT NOT NULL, 
	active BOOLEAN DEFAULT true NOT NULL, 
	due_at DATETIME NOT NULL, 
	leased BOOLEAN DEFAULT 0 NOT NULL, 
	interval_seconds INTEGER NOT NULL, 
	baseline_at DATETIME, 
	etag TEXT, 
	last_modified TEXT, 
	body_hash VARCHAR, 
	moved_to TEXT, 
	last_polled_at DATETIME, 
	last_ok_at DATETIME, 
	last_changed_at DATETIME, 
	failures INTEGER DEFAULT 0 NOT NULL, 
	error TEXT, 
	problems TEXT, findings TEXT, size INTEGER, shrunk_at DATETIME, 
	CONSTRAINT pk_sources PRIMARY KEY (id), 
	CONSTRAINT fk_sources_site FOREIGN KEY(site) REFERENCES sites ("key"), 
	CONSTRAINT uq_sources_site_name UNIQUE (site, name)
);
INSERT INTO "sources" VALUES(1,'cafe','blog','feed','https://cafe.example/feed.xml',1,'2026-03-01 12:00:00.000000',0,3600,'2026-03-01 12:00:00.000000','"1"',NULL,NULL,NULL,'2026-03-01 12:00:00.000000','2026-03-01 12:00:00.000000',NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sources" VALUES(2,'bakery','blog','feed','https://bakery.example/feed.xml',1,'2026-03-01 12:00:00.000000',0,900,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE subscriptions (
	source_id INTEGER NOT NULL, 
	hub TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	token VARCHAR NOT NULL, 
	secret VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	lease_until DATETIME, 
	due_at DATETIME NOT NULL, 
	leased BOOLEAN DEFAULT 0 NOT NULL, 
	last_push_at DATETIME, 
	error TEXT, 
	CONSTRAINT pk_subscriptions PRIMARY KEY (source_id), 
	CONSTRAINT fk_subscriptions_source_id FOREIGN KEY(source_id) REFERENCES sources (id), 
	CONSTRAINT uq_subscriptions_token UNIQUE (token)
);
CREATE TABLE undone (
	"key" TEXT NOT NULL, 
	undone_at DATETIME NOT NULL, 
	CONSTRAINT pk_undone PRIMARY KEY ("key")
);
INSERT INTO "undone" VALUES('https://one.example/users/ann/0','2026-03-01 12:00:00.000000');
CREATE INDEX ix_inbox_due ON inbox (due_at) WHERE state = 'pending';
CREATE INDEX ix_inbox_received ON inbox (received_at);
CREATE INDEX ix_remote_actors_due ON remote_actors (due_at);
CREATE INDEX ix_remote_keys_actor_id ON remote_keys (actor_id);
CREATE INDEX ix_seen_seen_at ON seen (seen_at);
CREATE INDEX ix_undone_undone_at ON undone (undone_at);
CREATE INDEX ix_followers_actor ON followers (actor_id);
CREATE INDEX ix_sources_due ON sources (due_at);
CREATE INDEX ix_activities_post_pk ON activities (post_pk);
CREATE INDEX ix_activities_uri ON activities (uri);
CREATE INDEX ix_entry_keys_post_pk ON entry_keys (post_pk);
CREATE INDEX ix_interactions_activity_id ON interactions (activity_id);
CREATE INDEX ix_interactions_actor_id ON interactions (actor_id);
CREATE INDEX ix_interactions_post ON interactions (post_pk, kind);
CREATE INDEX ix_deliveries_due ON deliveries (lane, due_at) WHERE state = 'pending';
CREATE INDEX ix_deliveries_host ON deliveries (host, state);
CREATE INDEX ix_deliveries_order ON deliveries (inbox, object_uri) WHERE state = 'pending';
CREATE INDEX ix_subscriptions_due ON subscriptions (due_at);
CREATE INDEX ix_holds_post ON holds (post_pk, kind);
CREATE INDEX ix_interactions_stamp ON interactions (stamp);
CREATE INDEX ix_posts_listing ON posts (site, state, published_at);
CREATE INDEX ix_posts_page ON posts (id);
CREATE INDEX ix_posts_check ON posts (check_at);
CREATE INDEX ix_posts_edit_due ON posts (edit_due_at);
CREATE INDEX ix_posts_look ON posts (look_at);
COMMIT;
