SELECT * FROM counted;
SELECT * FROM tumbled;
SELECT * FROM hopped;
SELECT * FROM in_sessions;
SELECT * FROM named;
SELECT * FROM foreign_named;
