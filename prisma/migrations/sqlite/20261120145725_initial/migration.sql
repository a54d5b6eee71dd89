-- CreateTable
CREATE TABLE "dispatcher_epoch" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "epoch" INTEGER NOT NULL,
    "holder" TEXT NOT NULL,
    "taken_at" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "alerts" (
    "fingerprint" TEXT NOT NULL PRIMARY KEY,
    "labels" TEXT NOT NULL,
    "annotations" TEXT NOT NULL,
    "starts_at" BIGINT NOT NULL,
    "ends_at" BIGINT NOT NULL,
    "ends_at_is_timeout" BOOLEAN NOT NULL,
    "generator_url" TEXT NOT NULL,
    "updated_at" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "alert_groups" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL,
    "receiver" TEXT NOT NULL,
    "group_labels" TEXT NOT NULL,
    "fingerprints" TEXT NOT NULL,
    "next_flush_at" BIGINT NOT NULL,
    "flush_number" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "notification_log" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL,
    "group_key" TEXT NOT NULL,
    "firing" TEXT NOT NULL,
    "resolved" TEXT NOT NULL,
    "notified_at" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "exchange" TEXT NOT NULL,
    "routing_key" TEXT NOT NULL,
    "headers" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "sequence" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "timeline" (
    "sequence" BIGINT NOT NULL,
    "writer" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "fingerprint" TEXT,
    "notification_id" TEXT,
    "kind" TEXT NOT NULL,
    "detail" TEXT NOT NULL,

    PRIMARY KEY ("sequence", "writer")
);

-- CreateTable
CREATE TABLE "notifications" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "channel" TEXT NOT NULL,
    "target_key" TEXT NOT NULL,
    "severity" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "via" TEXT,
    "receiver" TEXT,
    "group_key" TEXT,
    "envelope" TEXT NOT NULL,
    "created_at" BIGINT NOT NULL,
    "finished_at" BIGINT,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "unanswered" BOOLEAN NOT NULL DEFAULT false,
    "waiting_since" BIGINT,
    "waiting_until" BIGINT NOT NULL DEFAULT 0,
    "next_attempt" INTEGER NOT NULL DEFAULT 1,
    "budgets" TEXT NOT NULL DEFAULT '[]'
);

-- CreateTable
CREATE TABLE "notification_alerts" (
    "notification_id" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,

    PRIMARY KEY ("notification_id", "fingerprint"),
    CONSTRAINT "notification_alerts_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "notifications" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "attempts" (
    "notification_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "target_key" TEXT NOT NULL,
    "claimed_by" TEXT NOT NULL,
    "claimed_at" BIGINT NOT NULL,
    "may_repeat" BOOLEAN NOT NULL,
    "ended_at" BIGINT,
    "duration_ms" INTEGER,
    "outcome" TEXT,
    "reason" TEXT,
    "provider_code" TEXT,
    "provider_message" TEXT,
    "follow_up" TEXT,

    PRIMARY KEY ("notification_id", "number"),
    CONSTRAINT "attempts_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "notifications" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "budgets" (
    "name" TEXT NOT NULL PRIMARY KEY,
    "window_ms" BIGINT NOT NULL,
    "spend_limit" INTEGER NOT NULL,
    "spends" TEXT NOT NULL,
    "blocked_until" BIGINT NOT NULL,
    "updated_at" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "dead_letters" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "notification_id" TEXT,
    "channel" TEXT,
    "target_key" TEXT,
    "reason" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "failed_at" BIGINT NOT NULL,
    "payload" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "replay_attempt" INTEGER,
    "resolved_at" BIGINT
);

-- CreateTable
CREATE TABLE "audit" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "at" BIGINT NOT NULL,
    "by" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "detail" TEXT NOT NULL
);

-- CreateTable
CREATE TABLE "write_probe" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "at" BIGINT NOT NULL
);

-- CreateIndex
CREATE INDEX "outbox_sequence_idx" ON "outbox"("sequence");

-- CreateIndex
CREATE INDEX "timeline_fingerprint_sequence_idx" ON "timeline"("fingerprint", "sequence");

-- CreateIndex
CREATE INDEX "timeline_notification_id_sequence_idx" ON "timeline"("notification_id", "sequence");

-- CreateIndex
CREATE INDEX "notifications_status_via_target_key_severity_waiting_since_idx" ON "notifications"("status", "via", "target_key", "severity", "waiting_since");

-- CreateIndex
CREATE INDEX "notifications_via_idx" ON "notifications"("via");

-- CreateIndex
CREATE INDEX "notifications_finished_at_idx" ON "notifications"("finished_at");

-- CreateIndex
CREATE INDEX "notification_alerts_fingerprint_idx" ON "notification_alerts"("fingerprint");

-- CreateIndex
CREATE INDEX "attempts_target_key_ended_at_idx" ON "attempts"("target_key", "ended_at");

-- CreateIndex
CREATE INDEX "budgets_updated_at_idx" ON "budgets"("updated_at");

-- CreateIndex
CREATE INDEX "dead_letters_status_failed_at_id_idx" ON "dead_letters"("status", "failed_at", "id");

-- CreateIndex
CREATE INDEX "dead_letters_status_resolved_at_idx" ON "dead_letters"("status", "resolved_at");

-- CreateIndex
CREATE INDEX "dead_letters_notification_id_idx" ON "dead_letters"("notification_id");

-- CreateIndex
CREATE INDEX "audit_at_idx" ON "audit"("at");

-- CreateIndex
CREATE INDEX "audit_subject_idx" ON "audit"("subject");
