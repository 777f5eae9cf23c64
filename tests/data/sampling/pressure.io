some avg10=0.12 avg60=0.53 avg300=0.46 total=14512580
full avg10=0.09 avg60=0.43 avg300=0.25 total=9216174
