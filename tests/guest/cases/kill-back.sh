# write-back: killed ten times under fio verify
# limit: 180
in_mode write-back
killed 10
