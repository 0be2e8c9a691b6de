# write-through: killed ten times under fio verify, the run directory deleted each time
# limit: 180
in_mode write-through
killed 10 forget
